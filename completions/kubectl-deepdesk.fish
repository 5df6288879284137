# fish completion for kubectl-deepdesk
# Written by `kubectl deepdesk completion`: write it again instead of editing it.
complete --keep-order --exclusive --command kubectl-deepdesk --arguments "(COMPLETE=fish kubectl-deepdesk -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
