//! What each check is about, for people: what is wrong where it finds something, in a few words, and a paragraph on what is looked at, why,
//! and what to do.

/// What is told of a check.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Explanation {
    /// What is wrong with an account where it finds something.
    pub wrong: &'static str,
    /// The paragraph.
    pub text: &'static str,
}

/// The explanation of a check, by its id.
pub fn of(id: &str) -> Option<Explanation> {
    let found = EXPLANATIONS.iter().find(|(known, ..)| *known == id);
    found.map(|(_, wrong, text)| Explanation { wrong, text })
}

static EXPLANATIONS: &[(&str, &str, &str)] = &[
    (
        "DD-KUBECONFIG",
        "no context can be used",
        "Reads the kubeconfig as kubectl does: the files of KUBECONFIG, the context, the cluster, the user, and the credential plugin where there is one. Without a context nothing else can be asked. `kubectl deepdesk cluster list` shows the contexts, `cluster get-credentials` writes the entry of a GKE cluster.",
    ),
    (
        "DD-GCLOUD",
        "gcloud's configuration cannot be read",
        "Reads gcloud's active configuration, or the one that --configuration names: project, account, proxy, addresses of Google's services. A proxy in it that cannot be used is a failure, since requests must not go another way in silence. `gcloud config list` shows it, `kubectl deepdesk config list` shows what is made of it.",
    ),
    (
        "DD-GOOGLE-CREDENTIALS",
        "there are no credentials at Google",
        "Looks for credentials at Google, as gcloud and its libraries do, and has them give out a token: application default credentials first, else the account that gcloud is logged in with. The answer names which ones and as whom. `gcloud auth application-default login` makes new ones.",
    ),
    (
        "DD-K8S-API",
        "the API server does not answer",
        "Asks the API server for its version, and as whom it sees you, and waits ten seconds at most. Where it does not answer, nothing else about the cluster can be asked, and the exit code is 1. Check the network, the VPN and the address in the kubeconfig.",
    ),
    (
        "DD-K8S-ACCESS",
        "a right in the cluster is missing",
        "Asks the API server for each right that the command will need in the namespace, before it is needed: a run that is refused in the middle leaves a change half done. What is missing is named by verb and resource. docs/permissions.md has the Role that grants all of it.",
    ),
    (
        "DD-ES-API",
        "External Secrets is not installed",
        "Looks whether the cluster serves the API of External Secrets as external-secrets.io/v1. Without it nothing copies the secret into the cluster; a release of External Secrets that serves v1beta1 alone is too old. Install or upgrade External Secrets, or look whether the context is the right one.",
    ),
    (
        "DD-ES-STORE",
        "a store is missing or not ready",
        "Follows each ExternalSecret to its SecretStore or ClusterSecretStore, and reads from there the project and whether the store is ready. A store that is missing, not ready, or of another provider than Secret Manager copies nothing. `kubectl get secretstore,clustersecretstore -n NAMESPACE` shows what it says of itself.",
    ),
    (
        "DD-EXPIRY",
        "a secret expires",
        "Asks Secret Manager whether one of the account's two secrets has an end of its own (`ttl`, `expireTime`). On that day all of its versions are deleted, and what is encrypted under them becomes unreadable. `gcloud secrets update SECRET --remove-expiration` keeps it. Needs secretmanager.secrets.get; without it this says that it was not looked at.",
    ),
    (
        "DD-ALIASES",
        "an alias names the newest version",
        "Looks for aliases that name the newest version of one of the two secrets. An alias stays where it is when a version is added: a client that reads the secret by it keeps the old value, and fails once that version is disabled. Move it with `gcloud secrets update SECRET --update-version-aliases=ALIAS=VERSION` after the rotation.",
    ),
    (
        "DD-ROTATION-SCHEDULE",
        "somebody else is notified to rotate the secret",
        "Looks for a rotation schedule with Pub/Sub topics. Secret Manager adds no version itself, but a subscriber of those topics may, and a version that this program did not add blocks the account. If no subscriber is meant to, `gcloud secrets update SECRET --remove-rotation-schedule`.",
    ),
    (
        "DD-DESTRUCTION",
        "a version is about to be destroyed",
        "Looks for versions that were destroyed under a delayed destruction (`version_destroy_ttl`) and are not gone yet. Until that day they are disabled and can be kept; after it data under their values cannot be read by anyone. `gcloud secrets versions disable N --secret=SECRET` takes the destruction back.",
    ),
    (
        "DD-ES-EXIST",
        "an expected ExternalSecret is missing",
        "Looks whether the ExternalSecrets that are expected (admin-secrets and backend-secrets, or what the flags and settings name) are there and read one of the account's two secrets. One that is missing means a wrong account, another name, or pods that would never get the new value. Name it with --external-secret, or in the settings file.",
    ),
    (
        "DD-ES-READY",
        "an ExternalSecret is not syncing",
        "Reads each ExternalSecret's Ready condition, and the controller's own words from its Events where it is false. What does not sync now will not bring the new value either. One that fails only because the back-compat does not exist yet is no finding for a rotation, which creates it. `secret sync` asks once more and says what comes of it.",
    ),
    (
        "DD-ES-BACK-COMPAT",
        "an ExternalSecret waits for a back-compat that does not exist",
        "An ExternalSecret that maps a secret which does not exist copies none of its keys, not only that one. Where the back-compat is the missing one, the next rotation creates it; until then nothing is copied at all, and that is what is told here.",
    ),
    (
        "DD-ES-PINNED",
        "an ExternalSecret pins a version",
        "Looks for remoteRef.version. A pinned ExternalSecret goes on copying that version whatever is added, and says Ready all the while: the new value would never arrive. Take remoteRef.version out, or set it to latest.",
    ),
    (
        "DD-ES-CREATED-ONCE",
        "an ExternalSecret copies once only",
        "Looks for spec.refreshPolicy CreatedOnce. External Secrets then copies at creation and never again, and a forced sync does nothing, in silence. Set it to Periodic or OnChange.",
    ),
    (
        "DD-ES-INTERVAL-ZERO",
        "an ExternalSecret has interval 0",
        "Looks for spec.refreshInterval 0 with the policy Periodic. External Secrets takes that as never: a forced sync does nothing, in silence. Set an interval such as 10m, or the policy OnChange.",
    ),
    (
        "DD-ES-IMMUTABLE",
        "a Kubernetes Secret is immutable",
        "Looks whether a target is immutable, in the ExternalSecret or in the Kubernetes Secret itself. Its bytes cannot be changed, while the ExternalSecret goes on saying Ready. Remove spec.target.immutable, delete the Kubernetes Secret and let it be made again.",
    ),
    (
        "DD-ES-OWNED",
        "an ExternalSecret's owner removes annotations",
        "Looks whether an ExternalSecret belongs to a ClusterExternalSecret, which writes it again as it wants it to be: the annotation that forces a sync is gone at once. It syncs all the same, and what arrived is told by the bytes. Where a forced sync gets lost, it can be forced at the owner; the hint has the command.",
    ),
    (
        "DD-ES-TARGET",
        "a target is not a Kubernetes Secret as usual",
        "Looks whether each ExternalSecret writes a plain Kubernetes Secret that it owns. Where it merges into another's, or writes something else, this program cannot tell what it holds. Such an account is rotated by hand.",
    ),
    (
        "DD-ES-OPAQUE",
        "what arrives cannot be compared",
        "Looks whether what arrives can be proven: because the bytes that a key will have can be worked out from the secret's value, or because they show which value it is. A template over all keys, one from another object (templateFrom) and a rewrite that is not followed are proven so: the value stands in the bytes as it is, escaped, in hexadecimal or in base64, and no other one does. A template that computes something else from it hides that, and so does a value of fewer than 24 bytes inside a text. Map the secret under spec.data by remoteRef.key alone, and give a template the plain value.",
    ),
    (
        "DD-ES-PROPERTY",
        "the value is JSON of which a property is used",
        "Looks for remoteRef.property on the primary: then the value is JSON, and a value of letters and digits, as it is made here, would break it. Give the whole new JSON with --value-from.",
    ),
    (
        "DD-BACK-COMPAT-MAPPED",
        "the back-compat is not mapped",
        "Looks whether any ExternalSecret copies the back-compat into the cluster. Where none does, storing the old value there changes nothing for the pods: after a rotation they could not read the data of before. Add the mapping that the hint shows, or say --back-compat-unmapped where the application reads Secret Manager itself.",
    ),
    (
        "DD-SECRETS-CURRENT",
        "a Kubernetes Secret does not hold the newest version",
        "Compares the bytes of each key of each Kubernetes Secret with the newest version. One that differs was not copied since, or was written by somebody else. `secret sync` has External Secrets copy now, and sees that it arrives.",
    ),
    (
        "DD-CONSUMERS",
        "an expected workload is missing",
        "Looks whether the workloads that are expected (deployments admin and backend, or what the flags and settings name) are there, and whether anything reads the Kubernetes Secrets at all. A workload that is missing may have another name: --workload KIND/NAME, or the settings file.",
    ),
    (
        "DD-BACK-COMPAT-READ",
        "a workload does not read the back-compat",
        "Looks whether each workload that reads the primary's key reads the back-compat's, too. One that does not cannot read what was written before a rotation. Whether it has to is for its owners to say; this is a warning.",
    ),
    (
        "DD-PAUSED",
        "a workload is paused",
        "Looks for spec.paused. A restart of a paused Deployment does nothing until somebody resumes it, so its pods would stay on the old value. `kubectl rollout resume` is the way out, once it is known why it was paused.",
    ),
    (
        "DD-HELD-BACK",
        "a restart does not replace every pod of a workload",
        "Looks at the update strategy: OnDelete, or a partition, leaves pods as they are on a restart, and with them the old value. Set spec.updateStrategy to RollingUpdate without a partition.",
    ),
    (
        "DD-HEALTHY",
        "a workload is not fully rolled out",
        "Looks whether each workload has as many new and available pods as it wants, by the rule of `kubectl rollout status`. A restart on top of a stuck rollout would hide its cause. `kubectl rollout status` shows what it waits for.",
    ),
    (
        "DD-PODS-CURRENT",
        "pods are not shown to be on the newest version",
        "Judges each pod by what a restart of ours noted on it, or because it began after the last write of every Secret that it reads; its age proves nothing. Pods that are older, or that nothing proves, are counted. `secret restart` replaces them and proves it.",
    ),
    (
        "DD-OTHER-READERS",
        "something reads the secret that a restart does not reach",
        "Looks for what reads the Kubernetes Secrets and is no Deployment, StatefulSet or DaemonSet: Jobs, CronJobs, pods of other controllers. They keep the value that they started with until they end. They are named so that somebody can restart them; this is a warning.",
    ),
    (
        "DD-UNMOVED-READERS",
        "something that reads the secret stays on the older value",
        "Looks for running pods that read the Kubernetes Secrets, do not end by themselves, and are moved by no restart: bare pods, pods of an operator or of another controller. After a rotation they would write under the older value for as long as they run. Name each: `--evict KIND/NAME` has its pods evicted one after the other, as PodDisruptionBudgets allow, so that what owns them makes new ones; `--leave KIND/NAME` lets it be, puts that on record, and `finalize` asks for the name while it still runs.",
    ),
    (
        "DD-OLD-READERS",
        "something else runs on an older value",
        "The same readers, where they run now and nothing shows that they started on the newest version: what they write is encrypted under an older value. Before that value is retired they have to end or be restarted.",
    ),
    (
        "DD-RELOADER",
        "somebody else restarts a workload",
        "Looks for the annotations of Stakater Reloader, which restarts a workload as soon as a Secret changes. The pods are checked one by one all the same; it may only roll out twice. Nothing has to be done.",
    ),
    (
        "DD-GITOPS",
        "a GitOps controller may revert the restart",
        "Looks for the marks of Argo CD and Flux. One that puts the pod template back takes the restart's annotations away, and with them the proof of what the pods started with. Let it ignore annotations of the pod template.",
    ),
    (
        "DD-COSTS",
        "what a restart costs",
        "Looks at what a restart of each consumer meets: PodDisruptionBudgets, autoscalers, the strategy Recreate, and quotas without room for one more pod. Nothing has to be done; what cannot be read is left out.",
    ),
    (
        "DD-ONE-POD",
        "a workload has a single pod",
        "Looks for workloads of one pod. What such a pod serves may be interrupted while it is replaced. This is a warning, and nothing has to be done where that is known.",
    ),
    (
        "DD-PROJECT",
        "the project is not known, or not one",
        "Reads the project of the secrets from the store, and compares it with --project and between ExternalSecrets. A secret that is rotated in another project than the store reads would never arrive. Leave --project out, or look at the context and the namespace.",
    ),
    (
        "DD-SM-API",
        "Secret Manager does not answer",
        "Asks Secret Manager for the account's primary. Where it does not answer, or not as it should, its secrets cannot be looked at. Check the network, the proxy, and whether the API is enabled in the project.",
    ),
    (
        "DD-LATEST",
        "the primary's newest version is not enabled",
        "External Secrets reads the newest version that was created, whatever its state: where that one is disabled or destroyed, every sync fails. The hint names the one way out that loses nothing: to enable it again, or to bring the value in use back as a new version.",
    ),
    (
        "DD-PREDECESSOR",
        "an older version is enabled, and nothing explains it",
        "Looks at the version before the newest. A rotation disables it as its last step, so an enabled one means a rotation that is not finished, or years of rotations by hand that disabled nothing: data may still be encrypted under it. `secret rotate --adopt` finishes it as a rotation and keeps its value readable.",
    ),
    (
        "DD-OLDER-ENABLED",
        "an older version is enabled",
        "Looks at every version older than the two newest. An enabled one may be what data is still encrypted under, and no pod is given it. `secret rescue` stores such a value as back-compat, so that pods can read it; `--abandon-older` gives all of them up, where nothing needs them.",
    ),
    (
        "DD-TERRAFORM",
        "the primary is managed by Terraform",
        "Looks for the label that Google's Terraform provider puts on what it creates. An apply that knows nothing of a rotation may add a version of its own, or take the back-compat away. Make sure that the next one does neither; this is a warning.",
    ),
    (
        "DD-BACK-COMPAT",
        "the back-compat cannot be read, or a value lost its slot",
        "Looks whether the back-compat's newest version can be read, and whether a value that data may still need was displaced from it: by somebody who added another, or whose only copy is in a Kubernetes Secret. The hint names the command that stores it again.",
    ),
    (
        "DD-SM-ACCESS",
        "a right in Secret Manager is missing",
        "Asks Secret Manager for each permission that the command will need on the two secrets, before it is needed. What is missing is named. To create the back-compat is a right on the project, which cannot be asked for beforehand. docs/permissions.md lists all of them.",
    ),
    (
        "DD-PLAN",
        "no change can begin from this state",
        "Makes the plan that the command would make, and does none of it. Where the state does not allow one (data that was not saved again since the last rotation, versions that nothing explains), the reason and the one way on are told.",
    ),
    (
        "DD-LOCK",
        "somebody is at work on it",
        "Reads the Lease with which one operator at a time holds an account: who holds it, since when, at which step, on what machine. Wait until they are done. A lock whose process is gone ends by itself after 20 seconds.",
    ),
];

#[cfg(test)]
mod tests {
    use super::super::catalogue::CATALOGUE;
    use super::*;

    #[test]
    fn every_check_has_a_paragraph_of_its_own_and_no_other_thing_has() {
        for entry in CATALOGUE {
            let found = of(entry.id).unwrap_or_else(|| panic!("{} is not explained", entry.id));
            assert!(found.text.len() > 120 && found.text.ends_with('.'), "{}: {}", entry.id, found.text);
            assert!(found.text.matches(". ").count() >= 1, "{}: what is looked at, why, what to do", entry.id);
            assert!(!found.wrong.is_empty() && !found.wrong.ends_with('.'), "{}", entry.id);
        }
        assert_eq!(EXPLANATIONS.len(), CATALOGUE.len());
        let mut texts: Vec<&str> = EXPLANATIONS.iter().map(|(.., text)| *text).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), CATALOGUE.len(), "each has its own");
    }
}
