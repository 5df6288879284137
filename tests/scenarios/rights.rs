//! As whom the program runs. In the real world: as a ServiceAccount with the Role of docs/permissions.md and nothing else, in every
//! scenario. What only a real API server can refuse is asked of it alone, in the tests that are ignored elsewhere.

use serde_json::{Value, json};

use crate::account::{Account, After};
use crate::world::{Kind, until};

const PERMISSIONS: &str = include_str!("../../docs/permissions.md");

/// The rules of the Role in docs/permissions.md.
pub fn rules() -> Vec<Value> {
    let role =
        PERMISSIONS.split("```yaml\n").find(|block| block.contains("kind: Role\n")).expect("the page has a Role");
    let role: Value = serde_saphyr::from_str(role.split("```").next().expect("split gives one")).expect("YAML");
    role["rules"].as_array().expect("rules").clone()
}

/// Lets the account's operator evict, too, as docs/permissions.md has it for `--evict`.
pub fn grant_evictions(account: &Account) {
    if account.world.kind == Kind::Sandbox {
        return;
    }
    let block = PERMISSIONS.split("For `--evict`, also:").nth(1).and_then(|rest| rest.split("```yaml\n").nth(1));
    let block = block.and_then(|block| block.split("```").next()).expect("the page has it");
    let more: Value = serde_saphyr::from_str(block).expect("YAML");
    grant(account, &[rules(), more["rules"].as_array().expect("rules").clone()].concat());
    let user = format!("--as=system:serviceaccount:{}:deepdesk", account.name);
    let ask = ["auth", "can-i", "create", "pods", "--subresource=eviction", "-n", &account.name, &user];
    until("evictions are allowed", || account.world.try_kubectl(&ask, None).is_ok());
}

/// Gives these rules, and the one that the page names for a ClusterSecretStore, to the account's ServiceAccount.
pub fn grant(account: &Account, rules: &[Value]) {
    let (name, namespace) = ("deepdesk", &account.name);
    let subjects = json!([{"kind": "ServiceAccount", "name": name, "namespace": namespace}]);
    let cluster_wide = format!("deepdesk-{namespace}");
    let rbac = "rbac.authorization.k8s.io/v1";
    let reference =
        |kind: &str, name: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name});
    let stores =
        json!([{"apiGroups": ["external-secrets.io"], "resources": ["clustersecretstores"], "verbs": ["get"]}]);
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}},
        {"apiVersion": rbac, "kind": "Role", "metadata": {"name": name, "namespace": namespace}, "rules": rules},
        {"apiVersion": rbac, "kind": "RoleBinding", "metadata": {"name": name, "namespace": namespace}, "subjects": subjects, "roleRef": reference("Role", name)},
        {"apiVersion": rbac, "kind": "ClusterRole", "metadata": {"name": cluster_wide}, "rules": stores},
        {"apiVersion": rbac, "kind": "ClusterRoleBinding", "metadata": {"name": cluster_wide}, "subjects": subjects, "roleRef": reference("ClusterRole", &cluster_wide)},
    ]});
    let applied = account.world.try_kubectl(&["apply", "--validate=false", "-f", "-"], Some(&objects.to_string()));
    applied.unwrap_or_else(|error| panic!("{error}"));
}

/// The kubeconfig with which the program runs on this account; none where the world knows no rights.
pub fn operator(account: &Account) -> Option<String> {
    if account.world.kind == Kind::Sandbox {
        return None;
    }
    let path = account.world.home().join(format!("operator-{}", account.name));
    if !path.exists() {
        let token = account.world.kubectl(&["create", "token", "deepdesk", "-n", &account.name, "--duration=2h"]);
        write(account, &path, &json!({"token": token.trim()}), &json!({}));
    }
    Some(path.to_str().expect("text").to_owned())
}

/// A kubeconfig for the real API server with this user, and this beside the cluster's address and certificate.
fn write(account: &Account, path: &std::path::Path, user: &Value, cluster: &Value) {
    let admin = account.world.kubectl(&["config", "view", "--raw", "--minify", "-o", "json"]);
    let mut config: Value = serde_json::from_str(&admin).expect("JSON");
    config["users"][0]["user"] = user.clone();
    for (name, value) in cluster.as_object().into_iter().flatten() {
        config["clusters"][0]["cluster"][name] = value.clone();
    }
    // Moved into its place whole: other threads may look.
    let part = path.with_extension(format!("{:?}", std::thread::current().id()));
    std::fs::write(&part, config.to_string()).expect("writable");
    std::fs::rename(&part, path).expect("the same directory");
}

/// Whether its operator may do that; none where kubectl could not ask.
fn may(account: &Account, verb: &str, resource: &str) -> Option<bool> {
    // Not `kubectl auth can-i`: of an API that the cluster lacks it asks about another resource.
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    let asked = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
        "user": format!("system:serviceaccount:{0}:deepdesk", account.name),
        "resourceAttributes": {"namespace": account.name, "verb": verb, "group": group, "resource": resource}}});
    let answer =
        account.world.try_kubectl(&["create", "--validate=false", "-f", "-", "-o", "json"], Some(&asked.to_string()));
    serde_json::from_str::<Value>(&answer.ok()?).ok()?["status"]["allowed"].as_bool()
}

/// The rules but for one verb on one resource.
fn without(rules: &[Value], resource: &str, verb: &str) -> Vec<Value> {
    let mut left = Vec::new();
    for rule in rules {
        for named in rule["resources"].as_array().expect("a list") {
            let mut one = rule.clone();
            one["resources"] = json!([named]);
            if named == resource {
                one["verbs"].as_array_mut().expect("a list").retain(|kept| kept != verb);
            }
            if !one["verbs"].as_array().expect("a list").is_empty() {
                left.push(one);
            }
        }
    }
    left
}

#[needs(kubectl)]
#[test]
#[ignore = "needs a real API server: DEEPDESK_WORLD=control-plane, --include-ignored"]
fn without_any_one_right_the_preflight_names_it_and_nothing_is_written() {
    let account = Account::new(After::Globex, "least-privilege");
    let rules = rules();
    let mut tried = 0;
    for rule in &rules {
        for resource in rule["resources"].as_array().expect("a list").iter().filter_map(Value::as_str) {
            for verb in rule["verbs"].as_array().expect("a list").iter().filter_map(Value::as_str) {
                let group = rule["apiGroups"][0].as_str().expect("a group");
                let full = if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
                grant(&account, &without(&rules, resource, verb));
                until(&format!("{verb} {full} is not allowed any more"), || may(&account, verb, &full) == Some(false));
                // What is only helpful is a warning: a dry run shows it and would go on.
                let ran = account.run("rotate", &["--yes", "--dry-run", "-o", "json"]);
                let checks = ran.json()["checks"].as_array().expect("checks").clone();
                let named: Vec<&Value> =
                    checks.iter().filter(|check| check["id"] == "DD-K8S-ACCESS" && check["result"] != "pass").collect();
                let expected = format!("not allowed to {verb} {full} in namespace {}", account.name);
                assert_eq!(
                    named.iter().map(|check| &check["message"]).collect::<Vec<_>>(),
                    [&json!(expected)],
                    "{verb} {full}"
                );
                if named[0]["result"] == "fail" {
                    account.run("rotate", &["--yes"]).code(1).says(&expected);
                } else {
                    assert_eq!(ran.code, 0, "{}", ran.stderr);
                }
                account.untouched();
                grant(&account, &rules);
                until(&format!("{verb} {full} is allowed again"), || may(&account, verb, &full) == Some(true));
                tried += 1;
            }
        }
    }
    assert!(tried > 20, "{tried} rights");
    // Without all that only helps it works, too.
    let mut least = rules.clone();
    for (resource, verb) in [
        ("externalsecrets", "watch"),
        ("secrets", "watch"),
        ("secrets", "list"),
        ("deployments", "watch"),
        ("statefulsets", "watch"),
        ("daemonsets", "watch"),
        ("pods", "watch"),
        ("events", "list"),
        ("events", "create"),
    ] {
        least = without(&least, resource, verb);
    }
    grant(&account, &least);
    until("the least", || may(&account, "watch", "pods") == Some(false));
    account.run("rotate", &["--yes"]).code(0);
    account.rotated(4);
}

/// A rotation as somebody else than the ServiceAccount.
fn rotates_with(account: &Account, environment: &[(&str, &str)], flags: &[&str]) -> crate::world::Ran {
    let args = [&["secret", "rotate", &account.name, "--yes"], flags].concat();
    let ran = account.world.run(&args, environment).code(0);
    account.rotated(4);
    ran
}

fn path(account: &Account, name: &str, user: &Value, cluster: &Value) -> String {
    let path = account.world.home().join(format!("{name}-{}", account.name));
    write(account, &path, user, cluster);
    path.to_str().expect("text").to_owned()
}

fn token(account: &Account) -> String {
    account.world.kubectl(&["create", "token", "deepdesk", "-n", &account.name, "--duration=2h"]).trim().to_owned()
}

#[needs(kubectl)]
#[test]
#[ignore = "needs a real API server: DEEPDESK_WORLD=control-plane, --include-ignored"]
fn client_certificates() {
    let account = Account::new(After::Globex, "certificates");
    let field = |name: &str| account.world.plane[name].clone();
    let user = json!({"client-certificate": field("clientCertificate"), "client-key": field("clientKey")});
    rotates_with(&account, &[("KUBECONFIG", &path(&account, "files", &user, &json!({})))], &[]);
}

#[needs(kubectl)]
#[test]
#[ignore = "needs a real API server: DEEPDESK_WORLD=control-plane, --include-ignored"]
fn a_token_file() {
    let account = Account::new(After::Globex, "token-file");
    let file = account.world.file("token-file", &token(&account));
    let user = json!({"tokenFile": file});
    rotates_with(&account, &[("KUBECONFIG", &path(&account, "token", &user, &json!({})))], &[]);
}

#[needs(kubectl)]
#[test]
#[ignore = "needs a real API server: DEEPDESK_WORLD=control-plane, --include-ignored"]
fn an_exec_credential_plugin() {
    let account = Account::new(After::Globex, "exec-plugin");
    let credential = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": token(&account)}});
    let file = account.world.file("exec-credential", &credential.to_string());
    let count = account.world.home().join("exec-count");
    let script = format!("echo ran >> {}; cat {}", count.display(), file.display());
    let user = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script], "interactiveMode": "Never"}});
    rotates_with(&account, &[("KUBECONFIG", &path(&account, "exec", &user, &json!({})))], &[]);
    assert_eq!(std::fs::read_to_string(count).expect("it ran"), "ran\n", "it is run once");
}

#[needs(kubectl)]
#[test]
#[ignore = "needs a real API server: DEEPDESK_WORLD=control-plane, --include-ignored"]
fn impersonation() {
    let account = Account::new(After::Globex, "impersonated");
    let user = format!("system:serviceaccount:{}:deepdesk", account.name);
    // The owner acts as the ServiceAccount, and has its rights alone.
    rotates_with(&account, &[], &["--as", &user]);
    account.run("verify", &[]).code(0);
    let nobody = account.world.run(&["secret", "verify", &account.name, "--as", "nobody"], &[]);
    assert_eq!(nobody.code, 1, "{}", nobody.stderr);
    nobody.says("forbidden").says("User \"nobody\"");
}

#[needs(kubectl)]
#[test]
#[ignore = "needs a real API server: DEEPDESK_WORLD=control-plane, --include-ignored"]
fn an_https_proxy_and_no_proxy() {
    let account = Account::new(After::Globex, "proxied");
    let text = |name: &str| account.world.plane[name].as_str().expect("a URL").to_owned();
    let (proxy, named) = (text("proxy"), text("proxiedServer"));
    // External Secrets goes through the same proxy, for other accounts and at any time: to Google's names only.
    let is_ours = |tunnel: &&Value| tunnel["target"].as_str().is_some_and(|to| !to.contains("googleapis.com"));
    let tunnelled = || {
        let all = account.world.control("GET", "tunnels", &[]);
        all.as_array().expect("a list").iter().filter(is_ours).count()
    };
    let operator = operator(&account).expect("the real world");
    let args = ["secret", "verify", &account.name];
    // Loopback is never reached through a proxy of the environment, as with kubectl.
    account.world.run(&args, &[("KUBECONFIG", operator.as_str()), ("HTTPS_PROXY", &proxy)]).code(0);
    assert_eq!(tunnelled(), 0);
    // The server by a name that only the proxy knows. Secret Manager's emulator is plain http, which HTTPS_PROXY does not concern.
    let user = json!({"token": token(&account)});
    let by_name = path(&account, "by-name", &user, &json!({"server": named}));
    let past = [("KUBECONFIG", by_name.as_str()), ("HTTPS_PROXY", &proxy), ("NO_PROXY", ".control-plane.test")];
    account.world.run(&args, &past).code(1).says("cannot connect");
    assert_eq!(tunnelled(), 0);
    rotates_with(&account, &[("KUBECONFIG", &by_name), ("HTTPS_PROXY", &proxy)], &[]);
    let between = tunnelled();
    assert!(between > 0, "nothing went through the proxy");
    // The kubeconfig's own proxy-url comes first, and is for loopback as well.
    let own = path(&account, "proxy", &user, &json!({"proxy-url": proxy}));
    account.world.run(&args, &[("KUBECONFIG", &own), ("NO_PROXY", "127.0.0.1")]).code(0);
    assert!(tunnelled() > between);
}

#[needs(kubectl)]
#[test]
#[ignore = "needs a real API server: DEEPDESK_WORLD=control-plane, --include-ignored"]
fn a_tls_server_name() {
    let account = Account::new(After::Globex, "server-name");
    let user = json!({"token": token(&account)});
    let right = path(&account, "name", &user, &json!({"tls-server-name": "kubernetes.default.svc"}));
    rotates_with(&account, &[("KUBECONFIG", &right)], &[]);
    let wrong = path(&account, "name", &user, &json!({"tls-server-name": "kubernetes.example.com"}));
    let ran = account.world.run(&["secret", "verify", &account.name], &[("KUBECONFIG", &wrong)]).code(1);
    ran.says("kubernetes.example.com");
}

#[needs(kubectl)]
#[test]
#[ignore = "needs a real API server: DEEPDESK_WORLD=control-plane, --include-ignored"]
fn a_kubeconfig_of_several_files() {
    let account = Account::new(After::Globex, "several-files");
    let whole: Value =
        serde_json::from_str(&std::fs::read_to_string(operator(&account).expect("the real world")).expect("readable"))
            .expect("JSON");
    let part = |name: &str| {
        let mut part = json!({"apiVersion": "v1", "kind": "Config"});
        part[name] = whole[name].clone();
        account.world.file(&format!("several-{name}"), &part.to_string()).to_str().expect("text").to_owned()
    };
    let mut files: Vec<String> = ["clusters", "contexts", "users", "current-context"].map(part).into();
    files.insert(1, account.world.home().join("not-there").to_str().expect("text").to_owned());
    rotates_with(&account, &[("KUBECONFIG", &files.join(":"))], &[]);
}
