//! The certificate authorities that gcloud's configuration has Google trusted by (`core/custom_ca_certs_file`), where a
//! firewall looks into what is sent.
//!
//! Google's client reads the process's environment and nothing else, so they are put there before a thread is started.
//! For the cluster nothing changes by that: what the machine trusted before is kept for it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::error::ConfigError;
use super::gcloud::Gcloud;
use crate::setting::Sourced;

/// Whether Google's client asks files, and not the system, whom to trust.
const BY_FILES: bool = cfg!(all(unix, not(target_vendor = "apple")));

/// The file; none where none is named, and none where the system alone says who is trusted (macOS, Windows).
pub fn custom_ca(gcloud: &Gcloud) -> Result<Option<Sourced<PathBuf>>, ConfigError> {
    let Some(named) = gcloud.property("core/custom_ca_certs_file").filter(|_| BY_FILES) else { return Ok(None) };
    let path = PathBuf::from(&named.value);
    let wrong = |why: String| {
        let line = format!("gcloud's core/custom_ca_certs_file ({}, {}) {why}", path.display(), named.source);
        ConfigError::new(line).hint("name a file with PEM certificates, or unset the property")
    };
    let pem = std::fs::read(&path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if !has_certificates(&pem) {
        return Err(wrong("has no PEM certificate".to_owned()));
    }
    Ok(Some(Sourced::new(path, named.source)))
}

fn has_certificates(pem: &[u8]) -> bool {
    CertificateDer::pem_slice_iter(pem).any(|certificate| certificate.is_ok())
}

/// Whether the process's environment says the file already.
pub fn is_in_place(path: &Path) -> bool {
    std::env::var_os("SSL_CERT_FILE").is_some_and(|said| Path::new(&said) == path)
}

/// Whether Google's client would find nobody to trust. Its credentials do not survive that: it panics where a token is fetched.
pub(super) fn nobody_is_trusted() -> bool {
    #[cfg(all(unix, not(target_vendor = "apple")))]
    {
        rustls_native_certs::load_native_certs().certs.is_empty()
    }
    #[cfg(not(all(unix, not(target_vendor = "apple"))))]
    {
        false
    }
}

static BEFORE: OnceLock<Vec<Vec<u8>>> = OnceLock::new();

/// Keeps what this machine trusts now, for the cluster. Called before the environment is changed.
pub fn keep_the_machines() {
    #[cfg(all(unix, not(target_vendor = "apple")))]
    {
        let found = rustls_native_certs::load_native_certs().certs;
        // The first one counts: nothing has changed the environment before it.
        let _ = BEFORE.set(found.into_iter().map(|certificate| certificate.to_vec()).collect());
    }
}

/// What the machine trusted before its environment was changed; none where it was not.
pub(super) fn the_machines() -> Option<&'static Vec<Vec<u8>>> {
    BEFORE.get()
}

#[cfg(all(test, unix, not(target_vendor = "apple")))]
mod tests {
    use super::*;
    use crate::environment::Environment;

    #[test]
    fn a_file_that_vouches_for_nobody_is_refused() {
        let place = tempfile::tempdir().expect("a directory");
        let path = place.path().join("ca.pem");
        let found = || {
            let variable = ("CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", path.to_str().expect("text"));
            let env: Environment = [variable].into_iter().collect();
            custom_ca(&Gcloud::read(&env, None).expect("a configuration"))
        };
        assert!(found().expect_err("missing").message.contains("cannot be read"));
        std::fs::write(&path, "no certificate").expect("a file");
        assert!(found().expect_err("empty").message.contains("no PEM certificate"));
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n").expect("a file");
        assert_eq!(found().expect("a file").map(|found| found.value), Some(path.clone()));
        assert_eq!(custom_ca(&Gcloud::default()), Ok(None));
    }
}
