# bash completion for kubectl-deepdesk
# Written by `kubectl deepdesk completion`: write it again instead of editing it.
_kubectl_deepdesk() {
    local answer line options=
    answer="$(COMPLETE=bash _DEEPDESK_WORD="$2" _DEEPDESK_INDEX="$COMP_CWORD" _DEEPDESK_LINE="$COMP_LINE" \
        _DEEPDESK_POINT="$COMP_POINT" _DEEPDESK_TYPE="$COMP_TYPE" _DEEPDESK_COLUMNS="${COLUMNS:-80}" \
        kubectl-deepdesk -- "${COMP_WORDS[@]}" 2>/dev/null </dev/null)" || return
    COMPREPLY=()
    # The first line is for compopt, each other one a word.
    while IFS= read -r line; do
        if [[ -z "$options" ]]; then
            options="$line"
        else
            COMPREPLY+=("$line")
        fi
    done <<<"$answer"
    if [[ "$options" == nospace ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
# Older ones, as that of macOS, sort the words whatever is asked.
complete -o nosort -F _kubectl_deepdesk kubectl-deepdesk 2>/dev/null || complete -F _kubectl_deepdesk kubectl-deepdesk
