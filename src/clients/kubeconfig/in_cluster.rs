//! The cluster of the pod that we run in, as client-go finds it: where a pipeline or a Job has no kubeconfig.
//!
//! Its variables and the service account's files are the whole configuration; the token among them is replaced while we run.

use std::path::{Path, PathBuf};

use kube::config::{AuthInfo, Cluster, Context};

use super::files::Selected;
use super::path_text;
use crate::environment::Environment;

/// Where the kubelet puts the service account's files.
const DIRECTORY: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A pod, and how it reaches its cluster.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pod {
    server: String,
    token_file: PathBuf,
    authority: Option<PathBuf>,
    namespace: String,
}

/// The pod that we run in; none elsewhere, and none where it has no service account's token.
pub(super) fn pod(env: &Environment) -> Option<Pod> {
    pod_with(env, Path::new(DIRECTORY))
}

pub(super) fn pod_with(env: &Environment, directory: &Path) -> Option<Pod> {
    let (host, port) = (env.get("KUBERNETES_SERVICE_HOST")?, env.get("KUBERNETES_SERVICE_PORT")?);
    let token_file = Some(directory.join("token")).filter(|path| path.is_file())?;
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let in_file = || std::fs::read_to_string(directory.join("namespace")).ok().map(|name| name.trim().to_owned());
    let namespace = env.get("POD_NAMESPACE").map(str::to_owned).or_else(in_file).filter(|name| !name.is_empty());
    Some(Pod {
        server: format!("https://{host}:{port}"),
        token_file,
        // Without it the machine's own authorities have to do.
        authority: Some(directory.join("ca.crt")).filter(|path| path.is_file()),
        namespace: namespace.unwrap_or_else(|| "default".to_owned()),
    })
}

impl Pod {
    /// What a kubeconfig would choose.
    pub(super) fn selected(self) -> Selected {
        Selected {
            context_name: None,
            context: Context { namespace: Some(self.namespace.clone()), ..Context::default() },
            cluster_name: None,
            cluster: Cluster {
                server: Some(self.server.clone()),
                certificate_authority: self.authority.as_deref().map(path_text),
                ..Cluster::default()
            },
            user_name: None,
            user: AuthInfo { token_file: Some(path_text(&self.token_file)), ..AuthInfo::default() },
            pod: Some(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_told_by_its_variables_and_its_token() {
        let place = tempfile::tempdir().expect("a directory");
        let env = |more: &[(&str, &str)]| -> Environment {
            [("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("KUBERNETES_SERVICE_PORT", "443")]
                .iter()
                .chain(more)
                .copied()
                .collect()
        };
        let found = |more: &[(&str, &str)]| pod_with(&env(more), place.path());
        assert_eq!(found(&[]), None, "no token");
        std::fs::write(place.path().join("token"), "t").expect("a file");
        let pod = found(&[]).expect("a pod");
        assert_eq!(
            (pod.server.as_str(), pod.namespace.as_str(), &pod.authority),
            ("https://10.0.0.1:443", "default", &None)
        );
        std::fs::write(place.path().join("namespace"), "acme\n").expect("a file");
        std::fs::write(place.path().join("ca.crt"), "").expect("a file");
        let pod = found(&[("KUBERNETES_SERVICE_HOST", "fd00::1")]).expect("a pod");
        assert_eq!((pod.server.as_str(), pod.namespace.as_str()), ("https://[fd00::1]:443", "acme"));
        assert!(pod.authority.is_some());
        assert_eq!(found(&[("POD_NAMESPACE", "globex")]).expect("a pod").namespace, "globex", "as client-go");
        assert_eq!(found(&[("KUBERNETES_SERVICE_PORT", "")]), None, "not in a cluster");
    }
}
