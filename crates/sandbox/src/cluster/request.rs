//! What a request asks for: path, query, headers and body, read once.

use http::{HeaderMap, Method, Request, Uri};
use serde_json::Value;

use super::answer::Refusal;
use super::protobuf;
use super::resource::{self, RESOURCES, Resource};
use crate::clock::Clock;
use crate::path::RestPath;
use crate::query::{Query, decode};

/// What a path of the API names.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub resource: &'static Resource,
    pub namespace: Option<String>,
    pub name: Option<String>,
    /// `status`, `scale`, …; empty for the object itself.
    pub subresource: String,
}

#[derive(Clone, Debug)]
pub(super) enum Place {
    /// `/version`, `/api`, `/openapi/…`: one segment list, as it is.
    Root(Vec<String>),
    Group(String),
    /// An access review and its like, which is only created.
    Review {
        group: String,
        plural: String,
    },
    Objects(Target),
    /// Nothing is served there, though perhaps something in the same group.
    Nowhere {
        is_known_group: bool,
    },
}

/// Which form the caller wants objects in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    Plain,
    Table,
    Metadata,
}

/// A request, read. Its body may hold secret values, so it is never printed.
pub(super) struct Ask {
    pub method: Method,
    pub query: Query,
    pub headers: HeaderMap,
    pub body: bytes::Bytes,
    /// Of the server that is asked.
    pub clock: Clock,
}

impl Ask {
    pub fn new(request: Request<bytes::Bytes>, clock: Clock) -> (Place, Self) {
        let (parts, body) = request.into_parts();
        let place = place(&parts.uri);
        let query = Query::parse(parts.uri.query().unwrap_or(""));
        (place, Self { method: parts.method, query, headers: parts.headers, body, clock })
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The media type of the body, without parameters.
    pub fn content_type(&self) -> &str {
        self.header("content-type").split(';').next().unwrap_or("").trim()
    }

    /// The media types that the caller accepts, first choice first.
    pub fn accepts(&self) -> Vec<&str> {
        match self.header("accept") {
            "" => vec!["*/*"],
            accept => accept.split(',').map(str::trim).collect(),
        }
    }

    /// The form that the first acceptable media type names.
    pub fn form(&self) -> Result<Form, Refusal> {
        for accepted in self.accepts() {
            let mut parts = accepted.split(';').map(str::trim);
            let media = parts.next().unwrap_or("");
            if !matches!(media, "*/*" | "application/*" | "application/json") {
                continue;
            }
            match parts.find_map(|part| part.strip_prefix("as=")) {
                None => return Ok(Form::Plain),
                Some("Table") => return Ok(Form::Table),
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") => return Ok(Form::Metadata),
                Some(_) => {}
            }
        }
        Err(Refusal::not_acceptable("application/json"))
    }

    /// The field manager: named, else the first word of the user agent, as the real server derives it.
    pub fn manager(&self) -> String {
        match self.query.get("fieldManager") {
            Some(manager) if !manager.is_empty() => manager.to_owned(),
            _ => self
                .header("user-agent")
                .split('/')
                .next()
                .filter(|agent| !agent.is_empty())
                .unwrap_or("unknown")
                .to_owned(),
        }
    }

    /// Who asks: there are no credentials here, so it is the sandbox's own user unless another is impersonated.
    pub fn user(&self) -> &str {
        match self.header("impersonate-user") {
            "" => "sandbox",
            user => user,
        }
    }

    /// The groups of the one who asks.
    pub fn groups(&self) -> Vec<&str> {
        let mut groups: Vec<&str> =
            self.headers.get_all("impersonate-group").iter().filter_map(|value| value.to_str().ok()).collect();
        groups.push("system:authenticated");
        groups
    }

    /// Whether nothing is to be kept.
    pub fn dry_run(&self) -> Result<bool, Refusal> {
        match self.query.text("dryRun") {
            "" => Ok(false),
            "All" => Ok(true),
            other => {
                let message = format!("Unsupported value: [{other:?}]: supported values: \"All\"");
                Err(Refusal::invalid_options("UpdateOptions", "dryRun", "FieldValueNotSupported", &message))
            }
        }
    }

    /// A `resourceVersion`; none when it is empty or 0.
    pub fn resource_version(&self) -> Result<Option<u64>, Refusal> {
        match self.query.text("resourceVersion") {
            "" | "0" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                Refusal::bad_request(format!(
                    "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
                ))
            }),
        }
    }

    /// The body as an object, from JSON or YAML.
    pub fn object(&self) -> Result<Value, Refusal> {
        parse(&self.body)
    }
}

/// Reads protobuf, JSON, or else YAML.
pub(super) fn parse(body: &[u8]) -> Result<Value, Refusal> {
    if protobuf::is_protobuf(body) {
        return protobuf::read(body).map_err(|why| Refusal::bad_request(why.to_string()));
    }
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let unreadable = |_| {
        Refusal::bad_request("the object provided is unrecognized (must be of type Object): couldn't get version/kind")
    };
    let text =
        std::str::from_utf8(body).map_err(|_| Refusal::unsupported_media_type("application/json, application/yaml"))?;
    serde_saphyr::from_str(text).map_err(unreadable)
}

fn place(uri: &Uri) -> Place {
    let Some(path) = RestPath::parse(uri.path()) else {
        let segments: Vec<String> = uri.path().split('/').filter(|part| !part.is_empty()).map(decode).collect();
        return match segments.as_slice() {
            [root, group] if root == "apis" => Place::Group(group.clone()),
            _ => Place::Root(segments),
        };
    };
    let RestPath { group, version, namespace, plural, name, subresource } = path;
    if let ("authorization.k8s.io" | "authentication.k8s.io", "v1", None) = (group.as_str(), version.as_str(), &name) {
        return Place::Review { group, plural };
    }
    // An object of a namespace has no address outside of it.
    let has_address = |resource: &Resource| {
        if resource.namespaced { namespace.is_some() || name.is_none() } else { namespace.is_none() }
    };
    match resource::find(&group, &version, &plural).filter(|resource| has_address(resource)) {
        Some(resource) => Place::Objects(Target { resource, namespace, name, subresource }),
        None => Place::Nowhere {
            is_known_group: RESOURCES.iter().any(|known| known.group == group && known.version == version),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_objects() {
        let cases = [
            ("/api/v1/namespaces", "namespaces - - "),
            ("/api/v1/namespaces/acme", "namespaces - acme "),
            ("/api/v1/namespaces/acme/status", "namespaces - acme status"),
            ("/api/v1/namespaces/acme/pods", "pods acme - "),
            ("/api/v1/pods", "pods - - "),
            ("/apis/apps/v1/namespaces/acme/deployments/web/scale", "deployments acme web scale"),
            ("/apis/apps/v1/deployments/web", "nowhere"),
            ("/apis/apps/v2/deployments", "nowhere"),
            ("/api/v1/namespaces/a/nodes/n", "nowhere"),
            ("/apis/events.k8s.io/v1/namespaces/acme/events", "nowhere"),
        ];
        for (path, expected) in cases {
            let seen = match place(&path.parse().unwrap()) {
                Place::Objects(target) => format!(
                    "{} {} {} {}",
                    target.resource.plural,
                    target.namespace.as_deref().unwrap_or("-"),
                    target.name.as_deref().unwrap_or("-"),
                    target.subresource
                ),
                _ => "nowhere".to_owned(),
            };
            assert_eq!(seen, expected, "{path}");
        }
    }

    #[test]
    fn a_query_is_decoded() {
        let query = Query::parse("fieldSelector=metadata.name%3Dweb&labelSelector=a+in+%28b%2Cc%29&x");
        assert_eq!(query.text("fieldSelector"), "metadata.name=web");
        assert_eq!(query.text("labelSelector"), "a in (b,c)");
        assert_eq!(query.get("x"), Some(""));
    }
}
