//! Tells of each request that was sent: where, how it ended, how long it took. Never a header, a body, or a value.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, Uri};

type Hear = Arc<dyn Fn(&Sent) + Send + Sync>;

/// Hears of each request; by default nobody does.
#[derive(Clone, Default)]
pub struct Ear(Option<Hear>);

/// A request that was sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sent {
    method: Method,
    url: String,
    /// The status; none when no answer came, or none that was waited for.
    status: Option<u16>,
    took: Duration,
}

/// As one line: `GET https://host/path → 200 in 12 ms`.
impl fmt::Display for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} → ", self.method, self.url)?;
        match self.status {
            Some(status) => write!(f, "{status} in {} ms", self.took.as_millis()),
            None => write!(f, "no answer after {} ms", self.took.as_millis()),
        }
    }
}

impl Ear {
    /// Calls `hear` for each request, when its answer begins or it is given up.
    pub fn new(hear: impl Fn(&Sent) + Send + Sync + 'static) -> Ear {
        Ear(Some(Arc::new(hear)))
    }

    /// Notes that a request goes out.
    pub(super) fn sending(&self, method: &Method, url: impl FnOnce() -> String) -> Sending {
        let hear = self.0.clone();
        // Nothing is put together when nobody listens.
        let url = if hear.is_some() { url() } else { String::new() };
        Sending {
            hear,
            sent: Sent { method: method.clone(), url, status: None, took: Duration::ZERO },
            at: Instant::now(),
        }
    }
}

/// A request under way. A future that is dropped, by a deadline or by Ctrl-C, was a request all the same: so it is told
/// when this is dropped.
pub(super) struct Sending {
    hear: Option<Hear>,
    sent: Sent,
    at: Instant,
}

impl Sending {
    /// An answer with this status began.
    pub(super) fn answered(mut self, status: u16) {
        self.sent.status = Some(status);
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let Some(hear) = &self.hear else { return };
        self.sent.took = self.at.elapsed();
        hear(&self.sent);
    }
}

/// Query parameters whose values say what is asked. The value of any other may be anything, a token too.
const TELLING: [&str; 17] = [
    "allowWatchBookmarks",
    "container",
    "dryRun",
    "fieldManager",
    "fieldSelector",
    "follow",
    "force",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "secretId",
    "sendInitialEvents",
    "sinceTime",
    "timeoutSeconds",
    "timestamps",
    "watch",
];

/// The URL of `path` (with its query) at a server, as it may be shown: without user and password, and without the values
/// of unknown parameters.
pub(super) fn shown(server: &Uri, path: &str) -> String {
    let authority = server.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parameters: Vec<String> = query.split('&').filter(|part| !part.is_empty()).map(parameter).collect();
    let query = if parameters.is_empty() { String::new() } else { format!("?{}", parameters.join("&")) };
    let base = server.path().trim_end_matches('/');
    format!("{}://{host}{base}{path}{query}", server.scheme_str().unwrap_or("https"))
}

fn parameter(part: &str) -> String {
    match part.split_once('=') {
        Some((name, value)) if TELLING.contains(&name) || value.is_empty() => part.to_owned(),
        Some((name, _)) => format!("{name}=…"),
        None => part.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn what_may_be_secret_in_a_url_is_not_shown() {
        let cases = [
            ("https://host:6443", "/api/v1/pods", "https://host:6443/api/v1/pods"),
            (
                "https://user:word@host/k8s/",
                "/api?watch=true&continue=abc",
                "https://host/k8s/api?watch=true&continue=…",
            ),
            ("http://127.0.0.1:1", "/v1/x:access?access_token=abc&", "http://127.0.0.1:1/v1/x:access?access_token=…"),
        ];
        for (server, path, expected) in cases {
            assert_eq!(shown(&server.parse().expect("a URL"), path), expected);
        }
    }

    #[test]
    fn a_request_is_told_once_however_it_ends() {
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let into = heard.clone();
        let ear = Ear::new(move |sent| into.lock().expect("no panic").push(sent.to_string()));
        ear.sending(&Method::GET, || "http://a".to_owned()).answered(200);
        drop(ear.sending(&Method::POST, || "http://b".to_owned()));
        let heard = heard.lock().expect("no panic");
        assert_eq!(heard.len(), 2);
        assert!(heard[0].starts_with("GET http://a → 200 in "), "{heard:?}");
        assert!(heard[1].starts_with("POST http://b → no answer after "), "{heard:?}");
    }

    #[test]
    fn nothing_is_put_together_when_nobody_listens() {
        drop(Ear::default().sending(&Method::GET, || panic!("not asked for")));
    }
}
