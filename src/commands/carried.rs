//! The flags of the present call that a recommended command needs, so that it means the same clusters, project and secrets when it is typed.

use std::path::Path;

use deepdesk_protocol::hint::CallFlags;

use crate::cli;

/// Those of a command on accounts. No credential: a token is not repeated, and how it is shown is for each call to say. The namespace is left
/// out, since each command names its account.
pub fn of(common: &cli::Common) -> CallFlags {
    let text = |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("{name}={value}"));
    let file = |name: &str, path: Option<&Path>| path.map(|path| format!("{name}={}", path.display()));
    let each = |name: &str, values: &[String]| -> Vec<String> {
        values.iter().map(|value| format!("{name}={value}")).collect()
    };
    let (cluster, google) = (&common.cluster, &common.google);
    let mut kubectl: Vec<String> = file("--kubeconfig", cluster.kubeconfig.as_deref()).into_iter().collect();
    kubectl.extend(text("--context", &cluster.context));
    kubectl.extend(text("--cluster", &cluster.cluster));
    kubectl.extend(text("--user", &cluster.user));
    kubectl.extend(text("--as", &cluster.impersonate));
    kubectl.extend(each("--as-group", &cluster.impersonate_groups));
    kubectl.extend(text("--as-uid", &cluster.impersonate_uid));
    kubectl.extend(text("--server", &cluster.server));
    kubectl.extend(text("--tls-server-name", &cluster.tls_server_name));
    kubectl.extend(file("--certificate-authority", cluster.certificate_authority.as_deref()));
    kubectl.extend(file("--client-certificate", cluster.client_certificate.as_deref()));
    kubectl.extend(file("--client-key", cluster.client_key.as_deref()));
    kubectl.extend(cluster.insecure_skip_tls_verify.then(|| "--insecure-skip-tls-verify".to_owned()));
    let mut gcloud: Vec<String> = text("--configuration", &google.configuration).into_iter().collect();
    gcloud.extend(text("--impersonate-service-account", &google.impersonate_service_account));
    let mut own: Vec<String> = text("--project", &google.project).into_iter().collect();
    own.extend(file("--settings", common.settings.as_deref()));
    own.extend(text("--primary-secret", &common.ids.primary_secret));
    own.extend(text("--back-compat-secret", &common.ids.back_compat_secret));
    own.extend(each("--external-secret", &common.external_secrets));
    own.extend(each("--workload", &common.workloads));
    CallFlags { kubectl, gcloud, own }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use deepdesk_protocol::hint::Command;

    use super::*;

    #[test]
    fn a_hint_means_what_the_call_meant_and_repeats_no_token() {
        let line = "kubectl-deepdesk secret verify acme --context prod --kubeconfig /k -n acme --as me --token s3cr3t-t0k3n \
                    --project p --configuration work --settings /s --primary-secret {account}_key --workload deployment/api \
                    -o json --timeout 5m";
        let cli = cli::Cli::try_parse_from(line.split_whitespace()).expect("it parses");
        let cli::Command::Secret(secret) = cli.command else { panic!("a command on an account") };
        let cli::Secret::Verify(verify) = *secret else { panic!("a verification") };
        let mut command = Command::secret("rotate", "acme");
        command.carry(&of(&verify.common));
        let expected = "kubectl deepdesk secret rotate acme --kubeconfig=/k --context=prod --as=me --configuration=work --project=p \
                        --settings=/s '--primary-secret={account}_key' --workload=deployment/api";
        assert_eq!(command.to_string(), expected);
        let again = shell_words::split(expected).expect("a line").split_off(1);
        assert!(cli::Cli::try_parse_from(again).is_ok(), "what is recommended can be typed");
    }
}
