//! What keeps pods from coming or going: ResourceQuotas on their number, and PodDisruptionBudgets.

use serde_json::Value;

use super::meta::{name, text};
use super::resource::resource;
use super::selector::selects;
use super::store::Store;

/// The quota that one more pod would exceed, as the real server words it; none where there is room.
pub fn exceeded(store: &Store, namespace: &str) -> Option<String> {
    let quotas = store.list(resource("resourcequotas"), Some(namespace));
    let pods = store.list(resource("pods"), Some(namespace));
    let ended = |pod: &&Value| matches!(text(&pod["status"]["phase"]), "Succeeded" | "Failed");
    // One that is on its way out counts until it is gone.
    let used = pods.iter().filter(|pod| !ended(pod)).count();
    quotas.iter().find_map(|quota| {
        let (key, hard) = ["pods", "count/pods"].iter().find_map(|key| {
            let hard = &quota["spec"]["hard"][*key];
            let hard = hard.as_u64().or_else(|| hard.as_str()?.parse().ok())?;
            Some((*key, hard))
        })?;
        let full = u64::try_from(used).unwrap_or(u64::MAX) >= hard;
        full.then(|| {
            format!("exceeded quota: {}, requested: {key}=1, used: {key}={used}, limited: {key}={hard}", name(quota))
        })
    })
}

/// The budget that the eviction of a pod would break: its name, how many healthy pods it needs, and how many there are.
pub fn protected(store: &Store, namespace: &str, pod: &Value) -> Option<(String, i64, i64)> {
    // One that is not running yet may always go.
    if text(&pod["status"]["phase"]) == "Pending" {
        return None;
    }
    let pods = store.list(resource("pods"), Some(namespace));
    store.list(resource("poddisruptionbudgets"), Some(namespace)).iter().find_map(|budget| {
        let matches = |pod: &Value| selects(&budget["spec"]["selector"], &pod["metadata"]["labels"]);
        if !matches(pod) {
            return None;
        }
        let of_it: Vec<&Value> = pods.iter().filter(|pod| matches(pod)).collect();
        let healthy = of_it.iter().filter(|pod| is_healthy(pod)).count();
        let (healthy, all) = (i64::try_from(healthy).ok()?, i64::try_from(of_it.len()).ok()?);
        let needed = match (&budget["spec"]["minAvailable"], &budget["spec"]["maxUnavailable"]) {
            (Value::Null, most) => all - amount(most, all),
            (least, _) => amount(least, all),
        };
        (healthy - 1 < needed).then(|| (name(budget).to_owned(), needed, healthy))
    })
}

fn is_healthy(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    pod["metadata"]["deletionTimestamp"].is_null() && conditions.is_some_and(|all| all.iter().any(ready))
}

/// A number, or a percentage that is rounded up, as budgets round it.
fn amount(given: &Value, all: i64) -> i64 {
    let percent =
        |text: &str| text.trim_end_matches('%').parse::<i64>().map_or(0, |percent| (all * percent + 99) / 100);
    given.as_i64().unwrap_or_else(|| percent(text(given)))
}
