//! The fault `external-secrets-api`: an older cluster, which serves the API of External Secrets as `v1beta1` alone, or one without it.
//!
//! The objects are kept as `v1`; here, between the wire and everything else, names are exchanged. `OpenAPI` keeps its `v1`.

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::BodyExt as _;
use serde_json::Value;

use crate::body::{Body, whole};
use crate::faults::Faults;

const GROUP: &str = "external-secrets.io";
const NEW: &str = "external-secrets.io/v1";
const OLD: &str = "external-secrets.io/v1beta1";

/// As what the API is served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Served {
    V1,
    V1beta1,
    Nothing,
}

/// What has to be done to the answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    AsItIs,
    /// A list of all groups.
    Groups,
    /// Of this group alone: its versions.
    Group,
    /// Objects, one or many, or changes of them.
    Objects,
}

impl Served {
    pub(super) fn now(faults: &Faults) -> Served {
        match faults.value("external-secrets-api").as_deref() {
            Some("v1beta1") => Served::V1beta1,
            Some(_) => Served::Nothing,
            None => Served::V1,
        }
    }

    /// The request as it is for a cluster that serves `v1`; none where nothing is served at this place.
    pub(super) fn request(self, request: Request<Bytes>) -> Option<(Request<Bytes>, Answer)> {
        let path = request.uri().path().to_owned();
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let (root, group, version) = (segments.next(), segments.next(), segments.next());
        if self == Served::V1 || root != Some("apis") || group.is_some_and(|group| group != GROUP) {
            return Some((request, Answer::AsItIs));
        }
        match (group, version) {
            (None, _) => Some((request, Answer::Groups)),
            _ if self == Served::Nothing => None,
            (_, None) => Some((request, Answer::Group)),
            (_, Some("v1beta1")) => {
                let (mut parts, body) = request.into_parts();
                let place = parts.uri.path_and_query().map_or(path.as_str(), |place| place.as_str());
                parts.uri = Uri::try_from(place.replacen(OLD, NEW, 1)).ok()?;
                let body = Bytes::from(replaced(&body, &quoted(OLD), &quoted(NEW)));
                Some((Request::from_parts(parts, body), Answer::Objects))
            }
            (_, Some(_)) => None,
        }
    }

    /// The answer as this cluster gives it.
    pub(super) async fn answer(self, response: Response<Body>, what: Answer) -> Response<Body> {
        let (parts, body) = response.into_parts();
        let body = match what {
            Answer::AsItIs => body,
            // A watch sends whole events, so no name is in two frames.
            Answer::Objects => body
                .map_frame(|frame| frame.map_data(|data| replaced(&data, &quoted(NEW), &quoted(OLD)).into()))
                .boxed(),
            Answer::Group | Answer::Groups => {
                let Ok(all) = body.collect().await else { return Response::from_parts(parts, whole(Bytes::new())) };
                let text = all.to_bytes();
                match serde_json::from_slice(&text) {
                    Ok(groups) => whole(self.groups(groups, what).to_string()),
                    Err(_) => whole(text),
                }
            }
        };
        Response::from_parts(parts, body)
    }

    fn groups(self, mut answer: Value, what: Answer) -> Value {
        if what == Answer::Group {
            renamed(&mut answer);
            answer["apiVersion"] = "v1".into();
            return answer;
        }
        let Some(groups) = answer["items"].as_array_mut() else { return answer };
        let is_ours = |group: &Value| group["metadata"]["name"] == GROUP;
        if self == Served::Nothing {
            groups.retain(|group| !is_ours(group));
        }
        groups.iter_mut().filter(|group| is_ours(group)).for_each(renamed);
        answer
    }
}

/// Every text that names the version names the older one.
fn renamed(value: &mut Value) {
    match value {
        Value::String(text) if text == "v1" => *text = "v1beta1".to_owned(),
        Value::String(text) if text == NEW => *text = OLD.to_owned(),
        Value::Array(all) => all.iter_mut().for_each(renamed),
        Value::Object(all) => all.values_mut().for_each(renamed),
        _ => {}
    }
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn replaced(bytes: &[u8], from: &str, to: &str) -> String {
    String::from_utf8_lossy(bytes).replace(from, to)
}
