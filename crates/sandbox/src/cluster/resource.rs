//! The kinds of objects that this cluster knows, and how the API names them.

#[derive(Debug, Eq, PartialEq)]
pub struct Resource {
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The version of the group that is served.
    pub version: &'static str,
    /// The kind, for example `Deployment`.
    pub kind: &'static str,
    /// The name in paths; also the key under which the objects are kept.
    pub plural: &'static str,
    /// The name of one, as kubectl accepts it.
    pub singular: &'static str,
    /// What kubectl accepts besides.
    pub short_names: &'static [&'static str],
    /// The groups of resources that it is part of, for example `all`.
    pub categories: &'static [&'static str],
    /// Whether each object is in a namespace.
    pub namespaced: bool,
    /// Whether `status` is written by itself, so that a plain write cannot change it.
    pub has_status: bool,
    pub has_scale: bool,
    /// Whether `metadata.generation` counts the changes of what is wanted.
    pub has_generation: bool,
    /// Whether it comes from a CustomResourceDefinition; such objects know no strategic merge patch.
    pub custom: bool,
}

impl Resource {
    /// `apps/v1`, or `v1` for the core.
    pub fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// `deployments.apps`, or `pods` for the core: how the server's messages name it.
    pub fn group_resource(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// `DeploymentList`.
    pub fn list_kind(&self) -> String {
        format!("{}List", self.kind)
    }
}

const PLAIN: Resource = Resource {
    group: "",
    version: "v1",
    kind: "",
    plural: "",
    singular: "",
    short_names: &[],
    categories: &[],
    namespaced: true,
    has_status: false,
    has_scale: false,
    has_generation: false,
    custom: false,
};

const APPS: Resource =
    Resource { group: "apps", categories: &["all"], has_status: true, has_scale: true, has_generation: true, ..PLAIN };

const EXTERNAL_SECRETS: Resource = Resource {
    group: "external-secrets.io",
    categories: &["external-secrets"],
    has_status: true,
    has_generation: true,
    custom: true,
    ..PLAIN
};

/// Every kind that is served.
pub static RESOURCES: &[Resource] = &[
    Resource { kind: "ConfigMap", plural: "configmaps", singular: "configmap", short_names: &["cm"], ..PLAIN },
    Resource { kind: "Event", plural: "events", singular: "event", short_names: &["ev"], ..PLAIN },
    Resource {
        kind: "Namespace",
        plural: "namespaces",
        singular: "namespace",
        short_names: &["ns"],
        namespaced: false,
        has_status: true,
        ..PLAIN
    },
    Resource {
        kind: "Node",
        plural: "nodes",
        singular: "node",
        short_names: &["no"],
        namespaced: false,
        has_status: true,
        ..PLAIN
    },
    Resource {
        kind: "Pod",
        plural: "pods",
        singular: "pod",
        short_names: &["po"],
        categories: &["all"],
        has_status: true,
        has_generation: true,
        ..PLAIN
    },
    Resource {
        kind: "ResourceQuota",
        plural: "resourcequotas",
        singular: "resourcequota",
        short_names: &["quota"],
        has_status: true,
        ..PLAIN
    },
    Resource { kind: "Secret", plural: "secrets", singular: "secret", ..PLAIN },
    Resource {
        kind: "ServiceAccount",
        plural: "serviceaccounts",
        singular: "serviceaccount",
        short_names: &["sa"],
        ..PLAIN
    },
    Resource {
        kind: "Service",
        plural: "services",
        singular: "service",
        short_names: &["svc"],
        categories: &["all"],
        has_status: true,
        ..PLAIN
    },
    Resource {
        kind: "ControllerRevision",
        plural: "controllerrevisions",
        singular: "controllerrevision",
        categories: &[],
        has_status: false,
        has_scale: false,
        has_generation: false,
        ..APPS
    },
    Resource {
        kind: "DaemonSet",
        plural: "daemonsets",
        singular: "daemonset",
        short_names: &["ds"],
        has_scale: false,
        ..APPS
    },
    Resource { kind: "Deployment", plural: "deployments", singular: "deployment", short_names: &["deploy"], ..APPS },
    Resource { kind: "ReplicaSet", plural: "replicasets", singular: "replicaset", short_names: &["rs"], ..APPS },
    Resource { kind: "StatefulSet", plural: "statefulsets", singular: "statefulset", short_names: &["sts"], ..APPS },
    Resource {
        group: "autoscaling",
        version: "v2",
        kind: "HorizontalPodAutoscaler",
        plural: "horizontalpodautoscalers",
        singular: "horizontalpodautoscaler",
        short_names: &["hpa"],
        categories: &["all"],
        has_status: true,
        ..PLAIN
    },
    Resource {
        group: "batch",
        kind: "CronJob",
        plural: "cronjobs",
        singular: "cronjob",
        short_names: &["cj"],
        has_scale: false,
        ..APPS
    },
    Resource { group: "batch", kind: "Job", plural: "jobs", singular: "job", has_scale: false, ..APPS },
    Resource { group: "coordination.k8s.io", kind: "Lease", plural: "leases", singular: "lease", ..PLAIN },
    Resource {
        group: "policy",
        kind: "PodDisruptionBudget",
        plural: "poddisruptionbudgets",
        singular: "poddisruptionbudget",
        short_names: &["pdb"],
        has_status: true,
        has_generation: true,
        ..PLAIN
    },
    Resource {
        kind: "ClusterExternalSecret",
        plural: "clusterexternalsecrets",
        singular: "clusterexternalsecret",
        short_names: &["ces"],
        namespaced: false,
        ..EXTERNAL_SECRETS
    },
    Resource {
        kind: "ClusterSecretStore",
        plural: "clustersecretstores",
        singular: "clustersecretstore",
        short_names: &["css"],
        namespaced: false,
        ..EXTERNAL_SECRETS
    },
    Resource {
        kind: "ExternalSecret",
        plural: "externalsecrets",
        singular: "externalsecret",
        short_names: &["es"],
        ..EXTERNAL_SECRETS
    },
    Resource {
        kind: "SecretStore",
        plural: "secretstores",
        singular: "secretstore",
        short_names: &["ss"],
        ..EXTERNAL_SECRETS
    },
    Resource {
        group: "secrets-store.csi.x-k8s.io",
        kind: "SecretProviderClass",
        plural: "secretproviderclasses",
        singular: "secretproviderclass",
        has_generation: true,
        custom: true,
        ..PLAIN
    },
];

/// The resource of this plural.
///
/// # Panics
///
/// When there is none: the name is a constant of the caller's.
pub fn resource(plural: &str) -> &'static Resource {
    RESOURCES
        .iter()
        .find(|resource| resource.plural == plural)
        .unwrap_or_else(|| panic!("the sandbox's cluster has no resource `{plural}`"))
}

/// The resource at this place of the API, if it is served.
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    RESOURCES
        .iter()
        .find(|resource| resource.group == group && resource.version == version && resource.plural == plural)
}
