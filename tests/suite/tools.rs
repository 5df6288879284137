//! The real kubectl and gcloud, in the shell that the sandbox opens: they see what the runbook promises.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::process::finish;
use crate::world::{PROGRAM, Ran};

/// Runs a script in `sandbox shell`; it stops at the first command that fails.
fn shell(flags: &[&str], script: &str) -> Ran {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut command = Command::new(PROGRAM);
    command.args(["sandbox", "shell", "--sync-delay=20ms", "--pod-start=60ms"]).args(flags);
    command.args(["--", "sh", "-eu", "-c", script]);
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).env("HOME", home.path()).env("TERM", "dumb");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A script calls gcloud a dozen times, and each call takes seconds beside the rest of the suite.
    finish(command.spawn().expect("it starts"), Duration::from_secs(600))
}

/// The lines that the script marked as its findings.
fn findings(ran: &Ran) -> Vec<&str> {
    ran.stdout.lines().filter_map(|line| line.strip_prefix("# ")).collect()
}

#[needs(gcloud, kubectl)]
#[test]
fn a_rotation_looks_to_the_tools_as_the_runbook_promises() {
    // Values stay in the script; only yes and no come out.
    let script = r##"
        same() { if [ "$1" = "$2" ]; then echo yes; else echo no; fi; }
        states() { gcloud secrets versions list "$1" --sort-by=name --format='csv[no-heading](name,state)' | tr '\n' ' '; }
        value() { kubectl get secret "$1" -o jsonpath="{.data.$2}" | base64 -d; }
        pods() { kubectl get pods -l 'app!=web' -o jsonpath='{range .items[*]}{.metadata.uid}{"\n"}{end}' | sort; }
        old="$(gcloud secrets versions access latest --secret=acme_account_secret)"
        echo "# before: $(states acme_account_secret)"
        echo "# before: admin $(same "$old" "$(value admin-secrets SECRET_KEY)") backend $(same "$old" "$(value backend-secrets SECRET_KEY)")"
        pods > "$HOME/before"
        kubectl deepdesk secret rotate acme --yes --progress none > "$HOME/result"
        new="$(gcloud secrets versions access latest --secret=acme_account_secret)"
        echo "# changed: $(same "$old" "$new")"
        echo "# after: $(states acme_account_secret)"
        echo "# back-compat: $(states acme_account_secret_back_compat)"
        echo "# back-compat holds old: $(same "$old" "$(gcloud secrets versions access latest --secret=acme_account_secret_back_compat)")"
        for secret in admin-secrets backend-secrets; do
            echo "# $secret: new $(same "$new" "$(value $secret SECRET_KEY)") old $(same "$old" "$(value $secret SECRET_KEY_BACK_COMPAT)")"
        done
        pods > "$HOME/after"
        echo "# pods: $(wc -l < "$HOME/before" | tr -d ' ') then $(wc -l < "$HOME/after" | tr -d ' '), kept $(comm -12 "$HOME/before" "$HOME/after" | wc -l | tr -d ' ')"
        if gcloud secrets versions access 7 --secret=acme_account_secret >/dev/null 2>"$HOME/refused"; then echo "# v7 readable"; fi
        grep -q 'is in DISABLED state' "$HOME/refused" && echo "# v7 disabled, says gcloud"
        kubectl deepdesk secret verify acme | grep '^acme: ' | sed 's/^/# /'
    "##;
    let ran = shell(&[], script).code(0);
    assert_eq!(
        findings(&ran),
        [
            "before: 1,disabled 2,disabled 3,disabled 4,disabled 5,disabled 6,disabled 7,enabled ",
            "before: admin yes backend yes",
            "changed: no",
            "after: 1,disabled 2,disabled 3,disabled 4,disabled 5,disabled 6,disabled 7,disabled 8,enabled ",
            "back-compat: 1,enabled ",
            "back-compat holds old: yes",
            "admin-secrets: new yes old yes",
            "backend-secrets: new yes old yes",
            "pods: 5 then 5, kept 0",
            "v7 disabled, says gcloud",
            "acme: all on primary v8",
        ],
        "{}",
        ran.stderr
    );
}

#[needs(kubectl)]
#[test]
fn kubectl_works() {
    let script = r##"
        for form in '' -owide -ojson -oyaml -oname -ojsonpath={.items[*].metadata.name} \
            -ocustom-columns=NAME:.metadata.name '-ogo-template={{range .items}}{{.metadata.name}} {{end}}' --show-labels --no-headers; do
            for kind in pods deployments replicasets externalsecrets secretstores secrets events leases; do
                kubectl get $kind ${form:+"$form"} > "$HOME/out"
                case "$kind$form" in events*|leases*) ;; *) [ -s "$HOME/out" ] || echo "# nothing from get $kind $form" ;; esac
            done
        done
        echo "# $(kubectl get deployments -o name | tr '\n' ' ')"
        echo "# $(kubectl get deployment admin -o jsonpath='{.spec.replicas} {.status.readyReplicas}')"
        echo "# $(kubectl get externalsecrets --no-headers -o custom-columns=N:.metadata.name,R:.status.conditions[0].reason | tr -s ' ' | tr '\n' ' ')"
        echo "# $(kubectl get pods -A --no-headers | awk '{print $1}' | sort -u | tr '\n' ' ')"
        kubectl get externalsecret admin-secrets -o json | grep -q '"kind": "ExternalSecret"' && echo "# one object"
        for thing in deployment/admin externalsecret/admin-secrets secret/admin-secrets secretstore; do
            kubectl describe $thing | grep -q '^Name: ' && echo "# described $thing"
        done
        kubectl annotate externalsecret admin-secrets force-sync=1 --overwrite | sed 's/^/# /'
        echo "# $(kubectl get externalsecret admin-secrets -o jsonpath='{.metadata.annotations.force-sync}')"
        kubectl annotate externalsecret admin-secrets force-sync- > /dev/null
        sleep 2 # what starts in the second of a Secret's write is not proven to have its value
        kubectl rollout restart deployment/admin | sed 's/^/# /'
        kubectl rollout status deployment/admin --timeout=30s | tail -n 1 | sed 's/^/# /'
        echo "# $(kubectl auth can-i patch deployments) $(kubectl auth can-i create leases.coordination.k8s.io)"
        kubectl get deployment nobody 2>&1 | sed 's/^/# /' || true
        kubectl deepdesk secret verify acme -o name | sed 's/^/# /'
    "##;
    let ran = shell(&[], script).code(0);
    assert_eq!(
        findings(&ran),
        [
            "deployment.apps/admin deployment.apps/backend deployment.apps/web deployment.apps/worker ",
            "2 2",
            "admin-secrets SecretSynced backend-secrets SecretSynced ",
            "acme globex initech ",
            "one object",
            "described deployment/admin",
            "described externalsecret/admin-secrets",
            "described secret/admin-secrets",
            "described secretstore",
            "externalsecret.external-secrets.io/admin-secrets annotated",
            "1",
            "deployment.apps/admin restarted",
            "deployment \"admin\" successfully rolled out",
            "yes yes",
            "Error from server (NotFound): deployments.apps \"nobody\" not found",
            "secretverification.deepdesk.com/acme",
        ],
        "{}",
        ran.stderr
    );
    let refused = shell(&["--fault=forbidden=patch/deployments"], "kubectl auth can-i patch deployments").code(1);
    assert_eq!(refused.stdout.trim(), "no");
}

#[needs(gcloud)]
#[test]
fn gcloud_works() {
    let script = r##"
        say() { sed 's/^/# /'; }
        states() { gcloud secrets versions list new --sort-by=name --format='csv[no-heading](name,state)' | tr '\n' ' '; }
        gcloud secrets create new --replication-policy=automatic --labels=a=b 2>&1 | say
        gcloud secrets list --format='value(name)' --filter='name:acme OR name:new' | sort | tr '\n' ' ' | say; echo
        printf 'first' | gcloud secrets versions add new --data-file=- 2>&1 | say
        printf 'second' | gcloud secrets versions add new --data-file=- > /dev/null 2>&1
        echo "# $(gcloud secrets versions access latest --secret=new) $(gcloud secrets versions access 1 --secret=new)"
        gcloud secrets versions disable 1 --secret=new > /dev/null 2>&1; states | say; echo
        gcloud secrets versions access 1 --secret=new > /dev/null 2>"$HOME/refused" || grep -o 'FAILED_PRECONDITION' "$HOME/refused" | say
        gcloud secrets versions enable 1 --secret=new > /dev/null 2>&1; states | say; echo
        gcloud secrets versions destroy 1 --secret=new --quiet > /dev/null 2>&1; states | say; echo
        gcloud secrets update new --update-labels=c=d > /dev/null 2>&1
        gcloud secrets describe new --format='value(labels.a,labels.c)' | tr '\t' ' ' | say
        gcloud secrets versions describe 2 --secret=new --format='value(state)' | say
        gcloud secrets get-iam-policy acme_account_secret --format='value(bindings[0].role)' | say
        gcloud secrets describe missing > /dev/null 2>"$HOME/missing" || grep -o 'NOT_FOUND' "$HOME/missing" | say
    "##;
    let ran = shell(&[], script).code(0);
    assert_eq!(
        findings(&ran),
        [
            "Created secret [new].",
            "acme_account_secret acme_database_url new ",
            "Created version [1] of the secret [new].",
            "second first",
            "1,disabled 2,enabled ",
            "FAILED_PRECONDITION",
            "1,enabled 2,enabled ",
            "1,destroyed 2,enabled ",
            "b d",
            "ENABLED",
            "roles/secretmanager.secretAccessor",
            "NOT_FOUND",
        ],
        "{}",
        ran.stderr
    );
}
