//! Credentials that end, and where new ones come from: a credential plugin, or a file that somebody replaces.

use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::config::AuthInfo;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::exec::{Credential, Plugin};
use super::given;
use crate::clients::error::ConfigError;

/// How long a token from a file is taken for the newest, as client-go has it: the kubelet replaces it long before it ends.
const FRESH: SignedDuration = SignedDuration::from_secs(60);

/// Where credentials come from.
#[derive(Clone, Debug)]
pub(in crate::clients) enum Renewal {
    /// A program.
    Plugin(Box<Plugin>),
    /// A file with a token.
    TokenFile(PathBuf),
}

impl Renewal {
    /// The user's token file, if it has one. Its token stands for a file that cannot be read.
    pub(super) fn of_token_file(user: &mut AuthInfo) -> Result<Option<(Renewal, Credential)>, ConfigError> {
        let Some(path) = given(&user.token_file.take()) else { return Ok(None) };
        let renewal = Renewal::TokenFile(path.into());
        match (renewal.read(), user.token.take()) {
            (Ok(credential), _) => Ok(Some((renewal, credential))),
            (Err(_), Some(token)) => Ok(Some((renewal, Credential::token(token, Timestamp::now() + FRESH)))),
            (Err(error), None) => Err(error),
        }
    }

    /// New credentials.
    pub(in crate::clients) async fn ask(&self) -> Result<Credential, ConfigError> {
        match self {
            Renewal::Plugin(plugin) => plugin.run().await,
            Renewal::TokenFile(_) => self.read(),
        }
    }

    /// How long that may take.
    pub(in crate::clients) fn limit(&self) -> Duration {
        match self {
            Renewal::Plugin(plugin) => plugin.limit() + Duration::from_secs(1),
            Renewal::TokenFile(_) => Duration::from_secs(10),
        }
    }

    /// Whether what was there before goes on when there is nothing new: who makes a token file available may take it away.
    pub(in crate::clients) fn keeps_the_old(&self) -> bool {
        matches!(self, Renewal::TokenFile(_))
    }

    /// When to ask again after a file could not be read.
    pub(in crate::clients) fn again() -> Timestamp {
        Timestamp::now() + FRESH
    }

    fn read(&self) -> Result<Credential, ConfigError> {
        let Renewal::TokenFile(path) = self else { return Err(ConfigError::new("there is no token file")) };
        let wrong = |why: String| ConfigError::new(format!("the token file {} {why}", path.display()));
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|error| wrong(format!("cannot be read: {error}")))?;
        match text.trim() {
            "" => Err(wrong("is empty".to_owned())),
            token => Ok(Credential::token(SecretString::from(token), Timestamp::now() + FRESH)),
        }
    }
}
