//! GET of `pods/NAME/log`: what a container wrote, and with `follow` what it still writes.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::stream;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::answer::{self, Refusal};
use super::api_server::ApiServer;
use super::error::StoreError;
use super::meta::{self, text};
use super::request::{Ask, Target};
use crate::body::Body;
use crate::pod_logs::Line;

/// The log of one container.
pub(super) fn get(server: &ApiServer, ask: &Ask, target: &Target, name: &str) -> Result<Response<Body>, Refusal> {
    if target.resource.plural != "pods" {
        return Err(Refusal::no_such_path());
    }
    let not_found = || StoreError::NotFound { resource: target.resource, name: name.to_owned() };
    let pod = server.store.get(target.resource, target.namespace.as_deref(), name).ok_or_else(not_found)?;
    let container = container(&pod, name, ask.query.text("container"))?;
    let crashed = has_crashed(&pod, &container);
    if ask.query.flag("previous") && !crashed {
        let why = format!("previous terminated container {container:?} in pod {name:?} not found");
        return Err(Refusal::bad_request(why));
    }
    let state = state(&pod, &container);
    if !state["running"].is_object() && !state["terminated"].is_object() && !ask.query.flag("previous") {
        let why = match text(&state["waiting"]["reason"]) {
            "" => "ContainerCreating",
            why => why,
        };
        return Err(Refusal::bad_request(format!(
            "container {container:?} in pod {name:?} is waiting to start: {why}"
        )));
    }
    let query = &ask.query;
    let ago = query.number("sinceSeconds").and_then(|seconds| i64::try_from(seconds).ok());
    let since = ago.map(|seconds| Timestamp::now() - SignedDuration::from_secs(seconds));
    let mut log = Log {
        server: server.clone(),
        target: target.clone(),
        pod: name.to_owned(),
        uid: meta::uid(&pod).to_owned(),
        // The sandbox's commands run in the first container; nothing else writes.
        is_silent: pod["spec"]["containers"][0]["name"] != *container,
        container,
        since: query.text("sinceTime").parse().ok().or(since),
        dated: query.flag("timestamps"),
        follow: query.flag("follow"),
        next: 0,
        waiting: VecDeque::new(),
        begun: false,
        tail: query.number("tailLines").and_then(|lines| usize::try_from(lines).ok()),
        wake: server.logs.changes(),
        pods: server.store.changes(),
    };
    log.catch_up();
    let frames =
        stream::unfold(log, |mut log| async move { log.next().await.map(|line| (Ok(Frame::data(line)), log)) });
    Ok(answer::with_headers(StatusCode::OK, "text/plain", StreamBody::new(frames).boxed()))
}

/// The container that is meant.
fn container(pod: &Value, name: &str, asked: &str) -> Result<String, Refusal> {
    let names = |field: &str| -> Vec<String> {
        let all = pod["spec"][field].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().map(|container| text(&container["name"]).to_owned()).collect()
    };
    let main = names("containers");
    match (asked, main.as_slice()) {
        ("", [one]) => Ok(one.clone()),
        ("", several) => Err(Refusal::bad_request(format!(
            "a container name must be specified for pod {name}, choose one of: [{}]",
            several.join(" ")
        ))),
        (asked, _) if main.iter().chain(&names("initContainers")).any(|one| one == asked) => Ok(asked.to_owned()),
        (asked, _) => Err(Refusal::bad_request(format!("container {asked} is not valid for pod {name}"))),
    }
}

fn state<'a>(pod: &'a Value, container: &str) -> &'a Value {
    let statuses = pod["status"]["containerStatuses"].as_array().map(Vec::as_slice).unwrap_or_default();
    statuses.iter().find(|status| status["name"] == *container).map_or(&Value::Null, |status| &status["state"])
}

/// Whether one ran before, and ended.
fn has_crashed(pod: &Value, container: &str) -> bool {
    let statuses = pod["status"]["containerStatuses"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut own = statuses.iter().filter(|status| status["name"] == *container);
    own.any(|status| status["lastState"]["terminated"].is_object())
}

struct Log {
    server: ApiServer,
    target: Target,
    pod: String,
    uid: String,
    container: String,
    is_silent: bool,
    since: Option<Timestamp>,
    dated: bool,
    follow: bool,
    /// The number of the next line that is looked at.
    next: usize,
    waiting: VecDeque<Line>,
    begun: bool,
    tail: Option<usize>,
    wake: tokio::sync::watch::Receiver<u64>,
    pods: tokio::sync::watch::Receiver<u64>,
}

impl Log {
    fn catch_up(&mut self) {
        if self.is_silent {
            return;
        }
        let new = self.server.logs.from(&self.uid, self.next);
        self.next += new.len();
        self.waiting.extend(new.into_iter().filter(|(at, _)| self.since.is_none_or(|since| *at >= since)));
        if !std::mem::replace(&mut self.begun, true)
            && let Some(tail) = self.tail
        {
            let surplus = self.waiting.len().saturating_sub(tail);
            self.waiting.drain(..surplus);
        }
    }

    /// Whether the container still runs.
    fn goes_on(&self) -> bool {
        let pod = self.server.store.get(self.target.resource, self.target.namespace.as_deref(), &self.pod);
        pod.is_some_and(|pod| meta::uid(&pod) == self.uid && state(&pod, &self.container)["running"].is_object())
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some((at, line)) = self.waiting.pop_front() {
                let line = if self.dated { format!("{at} {line}\n") } else { format!("{line}\n") };
                return Some(line.into());
            }
            if !self.follow {
                return None;
            }
            self.wake.borrow_and_update();
            self.pods.borrow_and_update();
            // In this order: what it wrote last was written before it ended.
            let goes_on = self.goes_on();
            self.catch_up();
            if !self.waiting.is_empty() {
                continue;
            }
            if !goes_on {
                return None;
            }
            tokio::select! {
                changed = self.wake.changed() => changed.ok()?,
                changed = self.pods.changed() => changed.ok()?,
            }
        }
    }
}
