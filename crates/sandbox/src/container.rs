//! Google Kubernetes Engine's API, as far as `get-credentials` asks it: one cluster, and the list of them.
//!
//! The clusters cannot be reached: their addresses are from the ranges and names kept for documentation (RFC 5737, 2606).

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde_json::{Value, json};

use crate::body::Body;
use crate::google::{ApiError, json_answer};
use crate::options::PROJECT;

/// A certificate authority that nobody has the key of: base64 of its PEM, as the API gives it.
const CA: &str = concat!(
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUJuRENDQVVPZ0F3SUJBZ0lVUnZwVklEYTh0cmdTeEVXYmhyZTdLTCtnWUpzd0NnWUlL",
    "b1pJemowRUF3SXcKSXpFaE1COEdBMVVFQXd3WWEzVmlaV04wYkMxa1pXVndaR1Z6YXlCellXNWtZbTk0TUNBWERUSTJNVEV6TURJeApNalF3",
    "TmxvWUR6SXhNall4TVRBMk1qRXlOREEyV2pBak1TRXdId1lEVlFRRERCaHJkV0psWTNSc0xXUmxaWEJrClpYTnJJSE5oYm1SaWIzZ3dXVEFU",
    "QmdjcWhrak9QUUlCQmdncWhrak9QUU1CQndOQ0FBU0MzK3hOWmMyY3BwWW8KeHFGbFg1ZEdGK0huK21keWFpUVI0bVlqNFJ6RmlmMU9VOXRq",
    "UzNGaEd2OGtZOUJsc3FnK0RZb1BueXljcEhtdQptMFg4YnUrYm8xTXdVVEFkQmdOVkhRNEVGZ1FVckNoUGxLSzU2QWNablhnRnpWOWxGNmE2",
    "OTMwd0h3WURWUjBqCkJCZ3dGb0FVckNoUGxLSzU2QWNablhnRnpWOWxGNmE2OTMwd0R3WURWUjBUQVFIL0JBVXdBd0VCL3pBS0JnZ3EKaGtq",
    "T1BRUURBZ05IQURCRUFpQm5MMmVHS2lIUmVpQXh2STdGa3g5bG9tVGpzaEpuYWlnM3NaYkZ5ajdQekFJZwpPQU1GVG45UUdyMzV0d2ZvOW9U",
    "anMya3pwVTl6U3haMHBPS1k0aWVpSFh3PQotLS0tLUVORCBDRVJUSUZJQ0FURS0tLS0tCg==",
);

/// What a path asks for.
enum Asked<'a> {
    Cluster { project: &'a str, location: &'a str, name: &'a str },
    Clusters { project: &'a str, location: &'a str },
}

/// Whether this path belongs to Google Kubernetes Engine.
pub fn is_container(path: &str) -> bool {
    asked(path).is_some()
}

/// The method's name, as Google's reference has it.
pub fn method(path: &str) -> &'static str {
    match asked(path) {
        Some(Asked::Cluster { .. }) => "getCluster",
        Some(Asked::Clusters { .. }) => "listClusters",
        None => "unknown",
    }
}

/// Both spellings: `locations` of today, `zones` of before.
fn asked(path: &str) -> Option<Asked<'_>> {
    let parts: Vec<&str> = path.strip_prefix("/v1/projects/")?.split('/').collect();
    match parts.as_slice() {
        [project, "locations" | "zones", location, "clusters", name] => {
            Some(Asked::Cluster { project, location, name })
        }
        [project, "locations" | "zones", location, "clusters"] => Some(Asked::Clusters { project, location }),
        _ => None,
    }
}

pub(super) fn handle(request: &Request<Bytes>) -> Response<Body> {
    let as_integers = request.uri().query().is_some_and(|query| query.contains("enum-encoding"));
    match answer(request) {
        Ok(mut body) => {
            if as_integers {
                enums_as_integers(&mut body);
            }
            json_answer(StatusCode::OK, &body)
        }
        Err(error) => json_answer(error.code, &error.body()),
    }
}

fn answer(request: &Request<Bytes>) -> Result<Value, ApiError> {
    let path = request.uri().path();
    let asked = asked(path).filter(|_| request.method() == Method::GET);
    match asked.ok_or_else(|| ApiError::invalid("the sandbox answers getCluster and listClusters only"))? {
        Asked::Cluster { project, location, name } => {
            let found = clusters().into_iter().find(|one| one["name"] == name && one["location"] == location);
            found.filter(|_| project == PROJECT).ok_or_else(|| {
                ApiError::not_found(format!("Not found: projects/{project}/locations/{location}/clusters/{name}."))
            })
        }
        Asked::Clusters { project, .. } if project != PROJECT => {
            Err(ApiError::denied("container.clusters.list", &format!("projects/{project}")))
        }
        Asked::Clusters { location, .. } => {
            let all = clusters().into_iter().filter(|one| location == "-" || one["location"] == location);
            Ok(json!({ "clusters": all.collect::<Vec<_>>() }))
        }
    }
}

/// One as most are, one that is being made, one that has a DNS-based endpoint alone, one that is public.
fn clusters() -> Vec<Value> {
    vec![
        json!({
            "name": "sandbox", "location": "europe-west1", "zone": "europe-west1", "status": "RUNNING",
            "endpoint": "192.0.2.10",
            "masterAuth": {"clusterCaCertificate": CA},
            "privateClusterConfig": {"enablePrivateNodes": true, "privateEndpoint": "198.51.100.10", "publicEndpoint": "192.0.2.10"},
            "controlPlaneEndpointsConfig": {
                "dnsEndpointConfig": {"endpoint": "gke-sandbox.europe-west1.gke.example", "allowExternalTraffic": true},
                "ipEndpointsConfig": {"enabled": true, "enablePublicEndpoint": true, "publicEndpoint": "192.0.2.10",
                    "privateEndpoint": "198.51.100.10"},
            },
            "currentMasterVersion": "1.33.2-gke.1", "currentNodeCount": 3,
            "selfLink": self_link("europe-west1", "sandbox"),
        }),
        json!({
            "name": "being-made", "location": "europe-west1-b", "zone": "europe-west1-b", "status": "PROVISIONING",
            "masterAuth": {"clusterCaCertificate": CA},
            "privateClusterConfig": {"enablePrivateNodes": true},
            "selfLink": self_link("europe-west1-b", "being-made"),
        }),
        json!({
            "name": "dns-only", "location": "europe-west1", "zone": "europe-west1", "status": "RUNNING",
            "masterAuth": {"clusterCaCertificate": CA},
            "controlPlaneEndpointsConfig": {
                "dnsEndpointConfig": {"endpoint": "gke-dns-only.europe-west1.gke.example", "allowExternalTraffic": true},
                "ipEndpointsConfig": {"enabled": false},
            },
            "selfLink": self_link("europe-west1", "dns-only"),
        }),
        json!({
            "name": "public", "location": "us-central1", "zone": "us-central1", "status": "RUNNING",
            "endpoint": "203.0.113.7",
            "masterAuth": {"clusterCaCertificate": CA},
            "controlPlaneEndpointsConfig": {
                "dnsEndpointConfig": {"endpoint": "gke-public.us-central1.gke.example", "allowExternalTraffic": false},
                "ipEndpointsConfig": {"enabled": true},
            },
            "selfLink": self_link("us-central1", "public"),
        }),
    ]
}

fn self_link(location: &str, name: &str) -> String {
    format!("https://container.googleapis.com/v1/projects/{PROJECT}/locations/{location}/clusters/{name}")
}

/// Google's Rust client asks for enumerations as numbers.
fn enums_as_integers(body: &mut Value) {
    let number = |cluster: &mut Value| {
        let number = match cluster["status"].as_str() {
            Some("PROVISIONING") => 1,
            Some("RUNNING") => 2,
            _ => return,
        };
        cluster["status"] = number.into();
    };
    match body.get_mut("clusters").and_then(Value::as_array_mut) {
        Some(clusters) => clusters.iter_mut().for_each(number),
        None => number(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_both_spellings_are_its_own() {
        for (path, name) in [
            ("/v1/projects/p/locations/l/clusters/c", "getCluster"),
            ("/v1/projects/p/zones/z/clusters/c", "getCluster"),
            ("/v1/projects/p/locations/-/clusters", "listClusters"),
            ("/v1/projects/p/locations/l/secrets/clusters", "unknown"),
            ("/v1/projects/p/secrets/x", "unknown"),
        ] {
            assert_eq!((method(path), is_container(path)), (name, name != "unknown"), "{path}");
        }
    }

    #[test]
    fn what_is_not_there_is_said_as_google_says_it() {
        let asked = |path: &str| {
            answer(&Request::builder().uri(path).body(Bytes::new()).expect("a request")).map_err(|error| error.message)
        };
        let found = asked(&format!("/v1/projects/{PROJECT}/locations/europe-west1/clusters/sandbox"));
        assert_eq!(found.expect("a cluster")["endpoint"], "192.0.2.10");
        let missing = asked(&format!("/v1/projects/{PROJECT}/locations/x/clusters/sandbox"));
        assert_eq!(
            missing.expect_err("not there"),
            format!("Not found: projects/{PROJECT}/locations/x/clusters/sandbox.")
        );
    }
}
