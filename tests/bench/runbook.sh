#!/usr/bin/env bash
# The runbook by hand, as a script: its gcloud and kubectl commands one after another, with nobody thinking in between.
# usage, in a `sandbox shell`: runbook.sh ACCOUNT
set -euo pipefail
account=$1
primary=${account}_account_secret
back_compat=${primary}_back_compat

kubectl config use-context "sandbox-$account" > /dev/null                        # kubectx
kubectl config set-context --current --namespace "$account" > /dev/null          # kubens

old=$(gcloud secrets versions access latest --secret "$primary")
new=$(head -c 48 /dev/urandom | base64 | tr -d '/+\n')
version=$(printf %s "$new" | gcloud secrets versions add "$primary" --data-file=- --format='value(name.basename())' 2> /dev/null)
gcloud secrets versions disable $((version - 1)) --secret "$primary" > /dev/null 2>&1
if [ "$account" = acme ]; then
  # There, a new secret is one that External Secrets may not read; the other accounts have theirs already.
  gcloud secrets create "$back_compat" --replication-policy=automatic > /dev/null 2>&1
  gcloud secrets add-iam-policy-binding "$back_compat" --role=roles/secretmanager.secretAccessor \
    --member=serviceAccount:external-secrets@sandbox-project.iam.gserviceaccount.com > /dev/null 2>&1
fi
printf %s "$old" | gcloud secrets versions add "$back_compat" --data-file=- > /dev/null 2>&1

kubectl annotate externalsecret admin-secrets backend-secrets force-sync="$(date +%s%N)" --overwrite > /dev/null
key() { kubectl get secret "$1" -o "jsonpath={.data.$2}" | base64 -d; }
for secret in admin-secrets backend-secrets; do
  until [ "$(key $secret SECRET_KEY)" = "$new" ] && [ "$(key $secret SECRET_KEY_BACK_COMPAT)" = "$old" ]; do :; done
done

kubectl rollout restart deployment/admin deployment/backend > /dev/null
kubectl rollout status deployment/admin > /dev/null
kubectl rollout status deployment/backend > /dev/null
