//! `cluster get-credentials`: the entry that gcloud writes, by gcloud's own rules (googlecloudsdk, api_lib/container).

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Voice, session, speak};
use super::flags;
use crate::cli;
use crate::clients::container::{Container, GkeCluster};
use crate::clients::credentials as google;
use crate::clients::endpoint::Endpoint;
use crate::clients::error::{ApiError, ApiErrorKind};
use crate::clients::kubeconfig::{self, Entry, previous};
use crate::environment::Environment;
use crate::request;
use deepdesk_protocol::command;
use deepdesk_protocol::facts::names::{LocationId, ProjectId};
use deepdesk_protocol::problem::{Problem, Reason};

const INSTALL_HINT: &str = "Install gke-gcloud-auth-plugin for use with kubectl by following \
     https://cloud.google.com/kubernetes-engine/docs/how-to/cluster-access-for-kubectl#install_plugin";
const PLUGIN: &str = if cfg!(windows) { "gke-gcloud-auth-plugin.exe" } else { "gke-gcloud-auth-plugin" };

/// By which of its addresses the cluster is to be reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct How {
    internal_ip: bool,
    dns_endpoint: bool,
}

/// Asks for the cluster, and writes its entry.
pub async fn get(args: &cli::GetCredentials, environment: &Environment, voice: &Voice) -> Result<(), Problem> {
    let gcloud = session::gcloud(args.configuration.as_deref(), environment)?;
    let property = |name: &str| gcloud.property(name).map(|property| property.value);
    let (project, location) = place(args, &property)?;
    let endpoint = match property(request::CONTAINER_ENDPOINT) {
        Some(url) => Endpoint::standing_in("Kubernetes Engine", &url)?,
        None => Endpoint::google(),
    };
    let default_credentials = gcloud.is_on("container/use_application_default_credentials");
    if default_credentials && args.dns_endpoint {
        let line = "only one of --dns-endpoint and gcloud's container/use_application_default_credentials can be set";
        return Err(Problem::new(Reason::Usage, line));
    }
    if gcloud.is_on("container/use_client_certificate") {
        let line = "gcloud's container/use_client_certificate is on, and client certificates are not written here";
        return Err(Problem::new(Reason::Configuration, line).hint(command![
            "gcloud",
            "config",
            "unset",
            "container/use_client_certificate"
        ]));
    }
    let impersonated = args.impersonate_service_account.clone();
    let acting_as = impersonated.clone().or_else(|| property("auth/impersonate_service_account"));
    let resolved = google::resolve(environment, &gcloud, acting_as.as_deref(), &endpoint).await?;
    let container = Container::connect(&endpoint, resolved, session::ear(args.verbose, voice)).await?;
    let found = container.cluster(project.as_str(), location.as_str(), &args.name).await;
    let cluster = match found {
        Ok(cluster) => cluster,
        Err(error) if error.kind == ApiErrorKind::NotFound => {
            return Err(not_found(error, &container, &project, &location, &args.name).await);
        }
        Err(error) => return Err(error.into()),
    };
    if cluster.status != "RUNNING" {
        let line = format!("cluster {} is {}: its API may not be available", cluster.name, cluster.status);
        speak(voice).warning(&line);
    }
    let command = plugin(environment, voice).await;
    if args.connect_gateway {
        let (name, server) = gateway(&cluster, &project)?;
        let user = user(&command, default_credentials, impersonated.as_deref());
        write(args, &Entry { name, cluster: cluster_entry(&server, None), user }, environment, voice).await?;
        speak(voice).line(&format!("kubeconfig entry generated for {}.", cluster.name));
        return Ok(());
    }
    let how = How { internal_ip: args.internal_ip, dns_endpoint: args.dns_endpoint };
    let (server, authority) = server(&cluster, how)?;
    if cluster.certificate_authority.is_empty() {
        speak(voice).warning("the answer has no certificate authority");
    }
    let name = format!("gke_{project}_{}_{}", cluster.location, cluster.name);
    let user = user(&command, default_credentials, impersonated.as_deref());
    write(args, &Entry { name, cluster: cluster_entry(&server, authority), user }, environment, voice).await?;
    speak(voice).line(&format!("kubeconfig entry generated for {}.", cluster.name));
    Ok(())
}

/// Writes the entry; what was current before is where `cluster use -` leads.
async fn write(
    args: &cli::GetCredentials,
    entry: &Entry,
    environment: &Environment,
    voice: &Voice,
) -> Result<(), Problem> {
    let flags = flags(args.kubeconfig.clone());
    let locked = kubeconfig::lock(&flags, environment).await?;
    // A file that the flag names and that is not there yet is made: then there is no context before.
    let contexts = kubeconfig::contexts(&flags, environment).unwrap_or_default();
    let before = contexts.into_iter().find(|context| context.current).map(|context| context.name);
    locked.put(entry)?;
    if before.as_ref().is_some_and(|before| *before != entry.name) {
        let mut noted = previous::read(&locked, environment);
        noted.context = before;
        super::note_previous(&noted, environment, voice);
    }
    Ok(())
}

fn place(
    args: &cli::GetCredentials,
    property: &dyn Fn(&str) -> Option<String>,
) -> Result<(ProjectId, LocationId), Problem> {
    let usage = |line: &str, hint: &str| Problem::new(Reason::Usage, line).hint(hint);
    let project = args.project.clone().or_else(|| property("core/project"));
    let project = project.ok_or_else(|| usage("no project is known", "pass --project ID"))?;
    let location = args.location.clone().or_else(|| property("compute/zone")).or_else(|| property("compute/region"));
    let location =
        location.ok_or_else(|| usage("no location is known", "pass --location with the cluster's region or zone"))?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    // It becomes part of a URL.
    if args.name.is_empty() || !args.name.chars().all(fits) {
        let line = format!("cluster `{}` is not a name of a cluster (lower-case letters, digits and `-`)", args.name);
        return Err(Problem::new(Reason::Usage, line));
    }
    Ok((project.parse()?, location.parse()?))
}

/// Looks whether a cluster of that name is elsewhere: a wrong location is the usual mistake.
async fn not_found(
    error: ApiError,
    container: &Container,
    project: &ProjectId,
    location: &LocationId,
    name: &str,
) -> Problem {
    let problem = Problem::from(error);
    // Who may not list them is told what was asked for and nothing more, as by gcloud.
    let all = container.clusters(project.as_str()).await.unwrap_or_default();
    let elsewhere: Vec<&str> = all
        .iter()
        .filter(|(other, place)| other == name && place != location.as_str())
        .map(|(_, place)| &**place)
        .collect();
    match elsewhere.as_slice() {
        [] => {
            let names = all.iter().map(|(name, _)| name.as_str());
            problem.hint(super::names::hint(
                name,
                names,
                command!["gcloud", "container", "clusters", "list", "--project", project],
            ))
        }
        places => problem.hint(format!("{name} is in {}: pass that as --location", places.join(", "))),
    }
}

/// The names of the entry and of the server, through the Connect Gateway: gcloud's own (command_lib/container/fleet/gateway.py).
fn gateway(cluster: &GkeCluster, project: &ProjectId) -> Result<(String, String), Problem> {
    let name = &cluster.name;
    let parts: Vec<&str> = cluster.membership.as_deref().unwrap_or_default().split('/').collect();
    let ["projects", number, "locations", location, "memberships", membership] = parts.as_slice() else {
        let line = format!("cluster {name} is not a member of a fleet, so the Connect Gateway cannot reach it");
        let register = command![
            "gcloud",
            "container",
            "clusters",
            "update",
            name,
            format!("--location={}", cluster.location),
            "--enable-fleet"
        ];
        return Err(Problem::new(Reason::NoEndpoint, line).hint(register));
    };
    // They become part of a URL and of a file.
    let fits = |part: &&&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if ![number, location, membership].iter().all(fits) {
        return Err(Problem::new(Reason::MalformedAnswer, format!("the answer names no membership of cluster {name}")));
    }
    let region = if **location == *"global" { String::new() } else { format!("{location}-") };
    Ok((
        format!("connectgateway_{project}_{location}_{membership}"),
        format!(
            "https://{region}connectgateway.googleapis.com/v1/projects/{number}/locations/{location}/gkeMemberships/{membership}"
        ),
    ))
}

/// The address, and whether the cluster's own certificate authority vouches for it.
fn server(cluster: &GkeCluster, how: How) -> Result<(String, Option<&str>), Problem> {
    let name = &cluster.name;
    let failed = |line: String| Problem::new(Reason::NoEndpoint, line);
    let without_ip = cluster.ip_endpoints == Some(false);
    if without_ip && how.internal_ip {
        return Err(failed(format!("IP access is disabled for cluster {name}")).hint("leave --internal-ip out"));
    }
    if how.dns_endpoint && cluster.dns.as_ref().is_some_and(|dns| !dns.external) {
        let line = format!(
            "controlPlaneEndpointsConfig.dnsEndpointConfig.allowExternalTraffic is disabled for cluster {name}"
        );
        let hint = command![
            "gcloud",
            "container",
            "clusters",
            "update",
            name,
            "--location",
            cluster.location,
            "--enable-dns-access"
        ];
        return Err(failed(line).hint(hint));
    }
    if how.dns_endpoint || without_ip {
        let dns = cluster.dns.as_ref().filter(|dns| !dns.endpoint.is_empty());
        let dns = dns.ok_or_else(|| failed(format!("cluster {name} is missing DNSEndpointConfig")))?;
        return Ok((format!("https://{}", dns.endpoint), None));
    }
    let address = match (how.internal_ip, &cluster.private_endpoint) {
        (true, None) => return Err(failed(format!("cluster {name} is not a private cluster"))),
        (true, Some(address)) if address.is_empty() => {
            return Err(failed(format!("cluster {name} is missing private endpoint. Is it still PROVISIONING?")));
        }
        (true, Some(address)) => address,
        (false, _) if cluster.endpoint.is_empty() => {
            return Err(failed(format!("cluster {name} is missing endpoint. Is it still PROVISIONING?")));
        }
        (false, _) => &cluster.endpoint,
    };
    Ok((format!("https://{address}"), Some(&cluster.certificate_authority)))
}

fn cluster_entry(server: &str, authority: Option<&str>) -> Value {
    match authority {
        // Every system's own authorities vouch for it.
        None => json!({"server": server}),
        Some("") => json!({"insecure-skip-tls-verify": true, "server": server}),
        Some(authority) => json!({"certificate-authority-data": authority, "server": server}),
    }
}

fn user(command: &str, default_credentials: bool, impersonated: Option<&str>) -> Value {
    let mut exec = json!({"apiVersion": "client.authentication.k8s.io/v1beta1"});
    let mut args = Vec::new();
    if default_credentials {
        args.push("--use_application_default_credentials".to_owned());
    }
    args.extend(impersonated.map(|account| format!("--impersonate_service_account={account}")));
    if !args.is_empty() {
        exec["args"] = args.into();
    }
    exec["command"] = command.into();
    exec["installHint"] = INSTALL_HINT.into();
    exec["provideClusterInfo"] = true.into();
    json!({ "exec": exec })
}

/// The credential plugin: by name when it is on PATH, by its place beside gcloud when it is there, with a warning when it
/// is nowhere.
async fn plugin(environment: &Environment, voice: &Voice) -> String {
    if runs(Path::new(PLUGIN)).await {
        return PLUGIN.to_owned();
    }
    if let Some(path) = beside_gcloud(environment)
        && runs(&path).await
    {
        return path.to_string_lossy().into_owned();
    }
    let line =
        format!("{PLUGIN}, which kubectl needs for this cluster, was not found or is not executable. {INSTALL_HINT}");
    speak(voice).warning(&line);
    PLUGIN.to_owned()
}

async fn runs(program: &Path) -> bool {
    let mut command = tokio::process::Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let Ok(mut child) = command.spawn() else { return false };
    // What it says and how it ends does not matter, as with gcloud; that it ends does.
    tokio::time::timeout(Duration::from_secs(5), child.wait()).await.is_ok()
}

fn beside_gcloud(environment: &Environment) -> Option<PathBuf> {
    let path = environment.get("PATH")?;
    let gcloud = std::env::split_paths(path).map(|directory| directory.join("gcloud")).find(|file| file.is_file())?;
    Some(std::fs::canonicalize(gcloud).ok()?.with_file_name(PLUGIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::container::DnsEndpoint;

    fn cluster() -> GkeCluster {
        GkeCluster {
            name: "c".to_owned(),
            location: "l".to_owned(),
            status: "RUNNING".to_owned(),
            endpoint: "192.0.2.1".to_owned(),
            certificate_authority: "Q0E=".to_owned(),
            private_endpoint: Some("10.0.0.2".to_owned()),
            ip_endpoints: None,
            dns: Some(DnsEndpoint { endpoint: "gke-1.l.gke.goog".to_owned(), external: true }),
            membership: None,
        }
    }

    #[test]
    fn a_member_of_a_fleet_is_reached_as_gcloud_reaches_it() {
        let project: ProjectId = "acme-prod".parse().expect("a project");
        let of = |membership: &str| {
            let cluster = GkeCluster { membership: Some(membership.to_owned()), ..cluster() };
            gateway(&cluster, &project).map_err(|problem| problem.message)
        };
        let host = "connectgateway.googleapis.com/v1/projects/12/locations";
        assert_eq!(
            of("projects/12/locations/global/memberships/prod"),
            Ok((
                "connectgateway_acme-prod_global_prod".to_owned(),
                format!("https://{host}/global/gkeMemberships/prod")
            ))
        );
        assert_eq!(
            of("projects/12/locations/us-west1/memberships/prod"),
            Ok((
                "connectgateway_acme-prod_us-west1_prod".to_owned(),
                format!("https://us-west1-{host}/us-west1/gkeMemberships/prod")
            ))
        );
        for wrong in
            ["", "projects/12", "projects/12/locations/l/memberships/a b", "projects//locations/l/memberships/m"]
        {
            assert!(of(wrong).is_err(), "{wrong}");
        }
        let problem = gateway(&cluster(), &project).expect_err("no member");
        assert!(problem.hints[0].to_string().contains("--enable-fleet"), "{problem:?}");
    }

    #[test]
    fn addresses_are_chosen_as_gcloud_chooses_them() {
        let how = |internal_ip, dns_endpoint| How { internal_ip, dns_endpoint };
        let dns = |endpoint: &str, external| Some(DnsEndpoint { endpoint: endpoint.to_owned(), external });
        let no_ip = |dns| GkeCluster { ip_endpoints: Some(false), dns, ..cluster() };
        let cases = [
            (cluster(), how(false, false), Ok(("https://192.0.2.1", Some("Q0E=")))),
            (cluster(), how(true, false), Ok(("https://10.0.0.2", Some("Q0E=")))),
            (cluster(), how(false, true), Ok(("https://gke-1.l.gke.goog", None))),
            (cluster(), how(true, true), Ok(("https://gke-1.l.gke.goog", None))),
            (no_ip(cluster().dns), how(false, false), Ok(("https://gke-1.l.gke.goog", None))),
            (no_ip(cluster().dns), how(true, false), Err("IP access is disabled for cluster c")),
            (no_ip(None), how(false, false), Err("cluster c is missing DNSEndpointConfig")),
            (GkeCluster { dns: None, ..cluster() }, how(false, true), Err("cluster c is missing DNSEndpointConfig")),
            (
                GkeCluster { dns: dns("", true), ..cluster() },
                how(false, true),
                Err("cluster c is missing DNSEndpointConfig"),
            ),
            (
                GkeCluster { dns: dns("x", false), ..cluster() },
                how(false, true),
                Err("controlPlaneEndpointsConfig.dnsEndpointConfig.allowExternalTraffic is disabled for cluster c"),
            ),
            (
                GkeCluster { endpoint: String::new(), ..cluster() },
                how(false, false),
                Err("cluster c is missing endpoint. Is it still PROVISIONING?"),
            ),
            (
                GkeCluster { private_endpoint: None, ..cluster() },
                how(true, false),
                Err("cluster c is not a private cluster"),
            ),
            (
                GkeCluster { private_endpoint: Some(String::new()), ..cluster() },
                how(true, false),
                Err("cluster c is missing private endpoint. Is it still PROVISIONING?"),
            ),
        ];
        for (cluster, how, expected) in cases {
            let found = server(&cluster, how);
            let found = found.as_ref().map(|(server, authority)| (server.as_str(), *authority));
            assert_eq!(found.map_err(|problem| problem.message.as_str()), expected, "{how:?} {cluster:?}");
        }
    }
}
