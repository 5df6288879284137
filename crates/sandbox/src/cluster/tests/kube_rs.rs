//! kube-rs against the sandbox over its socket.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::SelfSubjectAccessReview;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher;
use kube::{Api, Client, Config};
use serde_json::json;

use super::{Served, deployment, external_secret, serve};

struct Running {
    client: Client,
    _served: Served,
}

async fn start(faults: &[&str]) -> Running {
    let served = serve(faults).await;
    let client = Client::try_from(Config::new(served.url.parse().unwrap())).unwrap();
    Running { client, _served: served }
}

fn api<K>(running: &Running) -> Api<K>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
    K::DynamicType: Default,
{
    Api::namespaced(running.client.clone(), "acme")
}

#[tokio::test]
async fn a_lease_is_taken_once() {
    let running = start(&[]).await;
    let leases: Api<Lease> = api(&running);
    let lease: Lease = serde_json::from_value(json!({"metadata": {"name": "l"}, "spec": {"holderIdentity": "me",
        "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000001Z"}}))
    .unwrap();
    let made = leases.create(&PostParams::default(), &lease).await.unwrap();
    let again = leases.create(&PostParams::default(), &lease).await.unwrap_err();
    assert!(matches!(again, kube::Error::Api(status) if status.is_already_exists()));
    let renewed = leases
        .replace("l", &PostParams::default(), &{
            let mut renewed = made.clone();
            renewed.spec.as_mut().unwrap().holder_identity = Some("you".to_owned());
            renewed
        })
        .await
        .unwrap();
    assert_ne!(renewed.metadata.resource_version, made.metadata.resource_version);
    let late = leases.replace("l", &PostParams::default(), &made).await.unwrap_err();
    assert!(matches!(late, kube::Error::Api(status) if status.is_conflict()));
}

#[tokio::test]
async fn a_watcher_survives_closed_and_expired_watches() {
    let running = start(&["watch-closed=100ms", "watch-expired=2"]).await;
    let secrets: Api<Secret> = api(&running);
    let mut stream = watcher(secrets.clone(), watcher::Config::default()).default_backoff().touched_objects().boxed();
    for name in ["a", "b", "c"] {
        let secret = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        secrets.create(&PostParams::default(), &secret).await.unwrap();
        loop {
            let seen = tokio::time::timeout(Duration::from_secs(20), stream.next()).await.unwrap().unwrap();
            if seen.is_ok_and(|secret| secret.metadata.name.as_deref() == Some(name)) {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

#[tokio::test]
async fn a_watch_list_is_refused_as_by_an_older_server() {
    let running = start(&[]).await;
    let secrets: Api<Secret> = api(&running);
    let mut stream = watcher(secrets, watcher::Config::default().streaming_lists()).boxed();
    let error = loop {
        if let Some(Err(error)) = stream.next().await {
            break error;
        }
    };
    assert!(error.to_string().contains("sendInitialEvents"), "{error}");
}

#[tokio::test]
async fn patches_and_reviews_are_read_by_its_types() {
    let running = start(&[]).await;
    let deployments: Api<Deployment> = api(&running);
    let web: Deployment = serde_json::from_value(deployment()).unwrap();
    deployments.create(&PostParams::default(), &web).await.unwrap();
    deployments.restart("web").await.unwrap();
    let scale = deployments
        .patch_scale("web", &PatchParams::default(), &Patch::Merge(json!({"spec": {"replicas": 4}})))
        .await
        .unwrap();
    assert_eq!(scale.spec.unwrap().replicas, Some(4));

    let kind = ApiResource {
        group: "external-secrets.io".into(),
        version: "v1".into(),
        api_version: "external-secrets.io/v1".into(),
        kind: "ExternalSecret".into(),
        plural: "externalsecrets".into(),
    };
    let external_secrets: Api<DynamicObject> = Api::namespaced_with(running.client.clone(), "acme", &kind);
    let object: DynamicObject = serde_json::from_value(external_secret()).unwrap();
    external_secrets.create(&PostParams::default(), &object).await.unwrap();
    let list = external_secrets.list(&ListParams::default()).await.unwrap();
    assert_eq!(list.items[0].types.as_ref().map(|types| types.kind.as_str()), Some("ExternalSecret"));

    let review: SelfSubjectAccessReview =
        serde_json::from_value(json!({"spec": {"resourceAttributes": {"verb": "get", "resource": "secrets"}}}))
            .unwrap();
    let reviews: Api<SelfSubjectAccessReview> = Api::all(running.client.clone());
    assert!(reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap().allowed);
}

#[tokio::test]
async fn discovery_names_every_resource() {
    let running = start(&[]).await;
    let discovery = kube::discovery::Discovery::new(running.client.clone()).run_aggregated().await.unwrap();
    let group = discovery.get("external-secrets.io").unwrap();
    let (resource, capabilities) = group.recommended_kind("ExternalSecret").unwrap();
    assert_eq!((resource.plural.as_str(), capabilities.subresources.len()), ("externalsecrets", 1));
    let versions = running.client.apiserver_version().await.unwrap();
    assert!(versions.git_version.starts_with("v1.34."));
    let metadata: Vec<_> =
        Api::<Namespace>::all(running.client.clone()).list_metadata(&ListParams::default()).await.unwrap().items;
    assert!(metadata.iter().any(|namespace| namespace.metadata.name.as_deref() == Some("acme")));
    let stream = watcher(Api::<PartialObjectMeta<Namespace>>::all(running.client.clone()), watcher::Config::default());
    assert!(stream.applied_objects().boxed().try_next().await.unwrap().is_some());
}
