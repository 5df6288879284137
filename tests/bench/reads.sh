#!/usr/bin/env bash
# What `secret verify` reads, with gcloud and kubectl, in as few commands as they can do it; comparing is not even begun.
# usage, in a `sandbox shell`: reads.sh ACCOUNT
set -euo pipefail
account=$1
primary=${account}_account_secret
{
  gcloud secrets versions access latest --secret "$primary"
  gcloud secrets versions access latest --secret "${primary}_back_compat"
  gcloud secrets versions list "$primary"
  kubectl get externalsecrets,secretstores,deployments,replicasets,statefulsets,daemonsets,cronjobs,jobs,pods -n "$account" -o json
  kubectl get secrets admin-secrets backend-secrets -n "$account" -o json
} > /dev/null
