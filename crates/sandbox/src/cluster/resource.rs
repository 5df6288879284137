//! The kinds of objects that this cluster knows, and how the API names them.

#[derive(Debug, Eq, PartialEq)]
pub struct Resource {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    /// The name in paths; also the key under which the objects are kept.
    pub plural: &'static str,
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
    short_names: &[],
    categories: &[],
    namespaced: true,
    has_status: false,
    has_scale: false,
    has_generation: false,
    custom: false,
};

const CLUSTER: Resource = Resource { namespaced: false, has_status: true, ..PLAIN };

const COUNTED: Resource = Resource { categories: &["all"], has_status: true, has_generation: true, ..PLAIN };

const APPS: Resource = Resource { group: "apps", has_scale: true, ..COUNTED };

const BATCH: Resource = Resource { group: "batch", ..COUNTED };

const EXTERNAL_SECRETS: Resource =
    Resource { group: "external-secrets.io", categories: &["external-secrets"], custom: true, ..COUNTED };

const CLUSTER_EXTERNAL_SECRETS: Resource = Resource { namespaced: false, ..EXTERNAL_SECRETS };

/// Every kind that is served.
pub static RESOURCES: &[Resource] = &[
    Resource { kind: "ConfigMap", plural: "configmaps", short_names: &["cm"], ..PLAIN },
    Resource { kind: "Event", plural: "events", short_names: &["ev"], ..PLAIN },
    Resource { kind: "Namespace", plural: "namespaces", short_names: &["ns"], ..CLUSTER },
    Resource { kind: "Node", plural: "nodes", short_names: &["no"], ..CLUSTER },
    Resource { kind: "Pod", plural: "pods", short_names: &["po"], ..COUNTED },
    Resource { kind: "ResourceQuota", plural: "resourcequotas", short_names: &["quota"], has_status: true, ..PLAIN },
    Resource { kind: "Secret", plural: "secrets", ..PLAIN },
    Resource { kind: "ServiceAccount", plural: "serviceaccounts", short_names: &["sa"], ..PLAIN },
    Resource { kind: "Service", plural: "services", short_names: &["svc"], has_generation: false, ..COUNTED },
    Resource { group: "apps", kind: "ControllerRevision", plural: "controllerrevisions", ..PLAIN },
    Resource { kind: "DaemonSet", plural: "daemonsets", short_names: &["ds"], has_scale: false, ..APPS },
    Resource { kind: "Deployment", plural: "deployments", short_names: &["deploy"], ..APPS },
    Resource { kind: "ReplicaSet", plural: "replicasets", short_names: &["rs"], ..APPS },
    Resource { kind: "StatefulSet", plural: "statefulsets", short_names: &["sts"], ..APPS },
    Resource {
        group: "autoscaling",
        version: "v2",
        kind: "HorizontalPodAutoscaler",
        plural: "horizontalpodautoscalers",
        short_names: &["hpa"],
        has_generation: false,
        ..COUNTED
    },
    Resource { kind: "CronJob", plural: "cronjobs", short_names: &["cj"], ..BATCH },
    Resource { kind: "Job", plural: "jobs", ..BATCH },
    Resource { group: "coordination.k8s.io", kind: "Lease", plural: "leases", ..PLAIN },
    Resource {
        group: "policy",
        kind: "PodDisruptionBudget",
        plural: "poddisruptionbudgets",
        short_names: &["pdb"],
        categories: &[],
        ..COUNTED
    },
    Resource {
        kind: "ClusterExternalSecret",
        plural: "clusterexternalsecrets",
        short_names: &["ces"],
        ..CLUSTER_EXTERNAL_SECRETS
    },
    Resource {
        kind: "ClusterSecretStore",
        plural: "clustersecretstores",
        short_names: &["css"],
        ..CLUSTER_EXTERNAL_SECRETS
    },
    Resource { kind: "ExternalSecret", plural: "externalsecrets", short_names: &["es"], ..EXTERNAL_SECRETS },
    Resource { kind: "SecretStore", plural: "secretstores", short_names: &["ss"], ..EXTERNAL_SECRETS },
    Resource {
        group: "secrets-store.csi.x-k8s.io",
        kind: "SecretProviderClass",
        plural: "secretproviderclasses",
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
