//! WATCH: the changes of one kind as they happen, one JSON object a line.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::{self, Refusal};
use super::api_server::ApiServer;
use super::objects::{Change, ChangeKind};
use super::request::{Ask, Target};
use super::selector::Selector;
use super::view::View;
use crate::body::Body;

/// How long the real server lets a watch live when it is not told: half an hour to an hour.
const LONGEST: Duration = Duration::from_secs(1800);
/// How often a watch that allows bookmarks gets one, as the real server does it.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// So long before its end a watch gets a last one.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);

pub(super) fn watch(server: &ApiServer, ask: &Ask, target: &Target) -> Result<Response<Body>, Refusal> {
    let query = &ask.query;
    for (option, what) in [
        ("sendInitialEvents", "the WatchList feature gate is enabled"),
        ("resourceVersionMatch", "sendInitialEvents is provided"),
    ] {
        if query.get(option).is_some() {
            let why = format!("Forbidden: {option} is forbidden for watch unless {what}");
            return Err(Refusal::invalid_options("ListOptions", option, "FieldValueForbidden", &why));
        }
    }
    let mut selector = Selector::of(target.resource, query)?;
    if let Some(name) = &target.name {
        selector = selector.named(name);
    }
    let lifetime = query.number("timeoutSeconds").filter(|seconds| *seconds > 0).map_or(LONGEST, Duration::from_secs);
    let now = Instant::now();
    let end = now + server.faults.duration("watch-closed").map_or(lifetime, |cut| cut.min(lifetime));
    let mut watch = Watch {
        server: server.clone(),
        target: target.clone(),
        view: View::of(ask, target)?,
        selector,
        since: 0,
        waiting: VecDeque::new(),
        has_sent: false,
        is_over: false,
        end,
        bookmark: query.flag("allowWatchBookmarks").then(|| (now + BOOKMARKS).min(end - LAST_BOOKMARK.min(end - now))),
        wake: server.store.changes(),
    };
    watch.begin(ask.resource_version()?);
    let frames = stream::unfold(watch, |mut watch| async move { watch.next().await.map(|line| (line, watch)) });
    let body = StreamBody::new(frames).boxed();
    Ok(answer::with_headers(StatusCode::OK, "application/json", body))
}

struct Watch {
    server: ApiServer,
    target: Target,
    view: View,
    selector: Selector,
    /// All changes up to this version have been looked at.
    since: u64,
    waiting: VecDeque<Value>,
    has_sent: bool,
    is_over: bool,
    end: Instant,
    /// When the next bookmark is due.
    bookmark: Option<Instant>,
    wake: tokio::sync::watch::Receiver<u64>,
}

impl Watch {
    /// From a version: what came after it. From none: everything that is there counts as added.
    fn begin(&mut self, from: Option<u64>) {
        match from {
            Some(_) if self.is_expired_on_demand() => {
                self.expire(from.unwrap_or(0), self.server.store.resource_version())
            }
            Some(version) => self.since = version,
            None => {
                let (version, objects) =
                    self.server.store.snapshot(self.target.resource, self.target.namespace.as_deref());
                self.since = version;
                for object in objects {
                    if self.selector.matches(&object) {
                        self.push("ADDED", &object);
                    }
                }
            }
        }
    }

    /// The fault `watch-expired`: once for each kind, or as often as its number says.
    fn is_expired_on_demand(&self) -> bool {
        let faults = &self.server.faults;
        match faults.value("watch-expired") {
            Some(_) => faults.take("watch-expired"),
            None => self.server.store.expires_once(self.target.resource, faults.active("watch-expired")),
        }
    }

    fn expire(&mut self, asked: u64, oldest: u64) {
        // An error of a watch comes as its event, also when it is the first thing to say.
        let status = Refusal::expired(format!("too old resource version: {asked} ({oldest})")).status();
        self.waiting.push_back(json!({"type": "ERROR", "object": status}));
        self.is_over = true;
    }

    fn push(&mut self, kind: &str, object: &Value) {
        let object = self.view.watched(object, !self.has_sent);
        self.has_sent = true;
        self.waiting.push_back(json!({"type": kind, "object": object}));
    }

    /// Looks at what happened since the last time.
    fn catch_up(&mut self) {
        match self.server.store.changes_since(self.target.resource, self.since) {
            Err(expired) => self.expire(self.since, expired.oldest),
            Ok(changes) => {
                for change in changes {
                    self.since = change.resource_version;
                    self.tell(&change);
                }
            }
        }
    }

    fn tell(&mut self, change: &Change) {
        let is_here = self
            .target
            .namespace
            .as_deref()
            .is_none_or(|namespace| namespace == super::meta::namespace(&change.object));
        if !is_here {
            return;
        }
        let was = change.previous.as_ref().is_some_and(|previous| self.selector.matches(previous));
        let is = self.selector.matches(&change.object);
        // To this watch, an object that begins to match is new, and one that ceases to is gone.
        let kind = match (change.kind, was, is) {
            (ChangeKind::Deleted, true, _) => "DELETED",
            (ChangeKind::Deleted, false, _) | (_, false, false) => return,
            (_, true, false) => "DELETED",
            (_, false, true) => "ADDED",
            (_, true, true) => "MODIFIED",
        };
        self.push(kind, &change.object);
    }

    async fn next(&mut self) -> Option<Result<Frame<Bytes>, std::io::Error>> {
        loop {
            if self.waiting.is_empty() && !self.is_over {
                self.wake.borrow_and_update();
                self.catch_up();
            }
            if let Some(event) = self.waiting.pop_front() {
                let mut line = serde_json::to_vec(&event).expect("a JSON value can be written");
                line.push(b'\n');
                return Some(Ok(Frame::data(line.into())));
            }
            if self.is_over {
                return None;
            }
            self.wait().await;
        }
    }

    /// Waits for a change, for the next bookmark or for the end.
    async fn wait(&mut self) {
        let bookmark = self.bookmark.unwrap_or(self.end);
        tokio::select! {
            changed = self.wake.changed() => self.is_over = changed.is_err(),
            () = tokio::time::sleep_until(self.end) => self.is_over = true,
            () = tokio::time::sleep_until(bookmark), if self.bookmark.is_some() => {
                let now = Instant::now();
                let last = self.end.checked_sub(LAST_BOOKMARK).unwrap_or(now);
                self.bookmark = (now < last).then(|| (now + BOOKMARKS).min(last));
                let version = self.server.store.resource_version();
                self.catch_up();
                if !self.is_over {
                    self.since = self.since.max(version);
                    self.waiting.push_back(json!({"type": "BOOKMARK", "object": self.view.bookmark(self.since)}));
                }
            }
        }
    }
}
