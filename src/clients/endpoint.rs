//! Where Secret Manager answers, and the other services of Google.

use http::Uri;

use super::error::ConfigError;
use crate::setting::without_password;
use deepdesk_protocol::facts::names::LocationId;

/// Where Secret Manager answers: Google's own endpoints, or one that stands in for all of them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Endpoint {
    instead: Option<Override>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Override {
    url: String,
    plain: bool,
}

impl Endpoint {
    /// Google's endpoints: one global, one for each location.
    pub fn google() -> Endpoint {
        Endpoint::default()
    }

    /// An endpoint that stands in for Google's, as gcloud's `api_endpoint_overrides/secretmanager` names it.
    ///
    /// Plain http is for loopback alone: everything else would send values over a wire in the clear.
    pub fn instead(url: &str) -> Result<Endpoint, ConfigError> {
        Endpoint::standing_in("Secret Manager", url)
    }

    /// The same for another of Google's services, by the name that an error calls it.
    pub fn standing_in(service: &str, url: &str) -> Result<Endpoint, ConfigError> {
        let wrong = |why: &str| ConfigError::new(format!("the {service} endpoint `{}` {why}", without_password(url)));
        let uri: Uri = url.trim().parse().map_err(|_| wrong("is not a URL"))?;
        let plain = match uri.scheme_str() {
            Some("https") => false,
            Some("http") if is_loopback(&uri) => true,
            Some("http") => return Err(wrong("is plain http, which is for this machine alone (127.0.0.1)")),
            _ => return Err(wrong("does not begin with https://")),
        };
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) || uri.query().is_some() {
            return Err(wrong("has more than a host and a path"));
        }
        Ok(Endpoint { instead: Some(Override { url: uri.to_string(), plain }) })
    }

    /// Whether requests go unencrypted, and so without credentials.
    pub fn is_plain(&self) -> bool {
        self.instead.as_ref().is_some_and(|instead| instead.plain)
    }

    /// The URL that stands in for Google's, where one does.
    pub fn overridden(&self) -> Option<&str> {
        self.instead.as_ref().map(|instead| instead.url.as_str())
    }

    /// The URL for secrets of this location; of global ones without.
    pub fn url(&self, location: Option<&LocationId>) -> String {
        match (&self.instead, location) {
            (Some(instead), _) => instead.url.clone(),
            (None, Some(location)) => format!("https://secretmanager.{location}.rep.googleapis.com"),
            (None, None) => "https://secretmanager.googleapis.com".to_owned(),
        }
    }
}

/// Whether the host of this URL is this machine.
pub(super) fn is_loopback(uri: &Uri) -> bool {
    let Some(host) = uri.host() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine() {
        for (url, expected) in [
            ("http://127.0.0.1:8080/", Some(true)),
            ("http://localhost:8080", Some(true)),
            ("http://[::1]:8080/", Some(true)),
            ("https://private.example.com/", Some(false)),
            ("http://127.0.0.1.example.com/", None),
            ("http://10.0.0.1/", None),
            ("http://user@127.0.0.1/", None),
            ("ftp://127.0.0.1/", None),
            ("127.0.0.1:8080", None),
            ("", None),
        ] {
            assert_eq!(Endpoint::instead(url).ok().map(|endpoint| endpoint.is_plain()), expected, "{url}");
        }
        let wrong = Endpoint::instead("https://ann:MARKER@private.example.com/").expect_err("it has more than a host");
        assert!(!wrong.message.contains("MARKER") && wrong.message.contains("ann:(not shown)@"), "{wrong}");
    }

    #[test]
    fn a_location_has_an_endpoint_of_its_own() {
        let location: LocationId = "europe-west1".parse().expect("a location");
        assert_eq!(Endpoint::google().url(None), "https://secretmanager.googleapis.com");
        assert_eq!(Endpoint::google().url(Some(&location)), "https://secretmanager.europe-west1.rep.googleapis.com");
        let instead = Endpoint::instead("http://127.0.0.1:1/").expect("an endpoint");
        assert_eq!(instead.url(Some(&location)), "http://127.0.0.1:1/");
    }
}
