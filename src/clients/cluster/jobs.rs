//! Jobs: made, looked at, deleted with their pods, and what their containers write.

use std::collections::VecDeque;
use std::time::Duration;

use ::http::Request;
use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::Resource;
use kube::client::Body;
use kube::core::params::{DeleteParams, ListParams, PostParams, Preconditions, PropagationPolicy};
use kube::core::subresource::LogParams;
use zeroize::Zeroizing;

use super::Cluster;
use super::http::kubernetes_error;
use super::requests::{found, to_json};
use crate::clients::error::{ApiError, ApiErrorKind};
use crate::clients::retry::Repeat;

/// The most bytes of one line that are kept: what comes after them, up to the line's end, is left out. Cut and not
/// continued, since a value that lies across a cut would not be known again.
const LONGEST_LINE: usize = 64 * 1024;

impl Cluster {
    /// Creates a Job; `AlreadyExists` when one of its name is there.
    pub async fn create_job(&self, job: &Job, field_manager: &str) -> Result<Job, ApiError> {
        let path = Job::url_path(&(), Some(self.namespace.as_str()));
        let operation = self.operation("create", "job", job.metadata.name.as_deref().unwrap_or_default());
        let params = PostParams { dry_run: self.dry_run, field_manager: Some(field_manager.to_owned()) };
        let request = kube::core::Request::new(path).create(&params, to_json(&operation, job)?);
        self.write(&operation, request, Repeat::NotDone).await?.parse()
    }

    /// Deletes a Job and its pods, if it is still the one with this uid; false when it is not there.
    ///
    /// The policy has to be asked for: by itself the API server keeps a Job's pods when the Job goes.
    pub async fn delete_job(&self, name: &str, uid: Option<&str>) -> Result<bool, ApiError> {
        let path = Job::url_path(&(), Some(self.namespace.as_str()));
        let operation = self.operation("delete", "job", name);
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: uid.map(|uid| Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            ..DeleteParams::default()
        };
        let request = kube::core::Request::new(path).delete(name, &params);
        Ok(found(self.write(&operation, request, Repeat::Unanswered).await)?.is_some())
    }

    /// The Jobs with these labels (a selector as kubectl's `-l` takes it).
    pub async fn labelled_jobs(&self, labels: &str) -> Result<Vec<Job>, ApiError> {
        let path = Job::url_path(&(), Some(self.namespace.as_str()));
        let operation = format!("list jobs {}", self.namespace);
        self.list_where(&operation, &path, ListParams::default().labels(labels)).await
    }

    /// The pods with these labels.
    pub async fn labelled_pods(&self, labels: &str) -> Result<Vec<Pod>, ApiError> {
        let path = Pod::url_path(&(), Some(self.namespace.as_str()));
        let operation = format!("list pods {}", self.namespace);
        self.list_where(&operation, &path, ListParams::default().labels(labels)).await
    }

    /// The Services of the namespace; none where they may not be listed.
    pub async fn services(&self) -> Result<Option<Vec<Service>>, ApiError> {
        match self.list().await {
            Ok(services) => Ok(Some(services)),
            Err(error) if error.kind == ApiErrorKind::Forbidden => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The last lines that a container wrote: the one that runs or has ended, or the one before it (`previous`).
    pub async fn log_tail(
        &self,
        pod: &str,
        container: &str,
        previous: bool,
        lines: i64,
    ) -> Result<Vec<String>, ApiError> {
        let path = Pod::url_path(&(), Some(self.namespace.as_str()));
        let operation = self.operation("get log of", "pod", pod);
        let params = LogParams {
            container: Some(container.to_owned()),
            previous,
            tail_lines: Some(lines),
            timestamps: true,
            ..LogParams::default()
        };
        let unreadable = |_| kubernetes_error(&operation, ApiErrorKind::Invalid, "the request cannot be written");
        let request = kube::core::Request::new(path).logs(pod, &params).map_err(unreadable)?;
        let body = self.connection.open(&operation, &request).await?;
        let mut log = PodLog {
            operation,
            body: body.into_data_stream(),
            pending: Zeroizing::default(),
            cut: false,
            lines: VecDeque::new(),
            since: None,
        };
        let mut read = Vec::new();
        while let Some(line) = log.next().await? {
            read.push(String::from_utf8_lossy(&line.text).into_owned());
        }
        Ok(read)
    }

    /// What a container writes, from its beginning or from right before `since`, until it ends.
    pub async fn follow_log(&self, pod: &str, container: &str, since: Option<Timestamp>) -> Result<PodLog, ApiError> {
        let path = Pod::url_path(&(), Some(self.namespace.as_str()));
        let operation = self.operation("get log of", "pod", pod);
        let params =
            LogParams { container: Some(container.to_owned()), follow: true, timestamps: true, ..LogParams::default() };
        let request = kube::core::Request::new(path).logs(pod, &params);
        let unreadable = |_| kubernetes_error(&operation, ApiErrorKind::Invalid, "the request cannot be written");
        let mut request: Request<Vec<u8>> = request.map_err(unreadable)?;
        if let Some(since) = since {
            // Whole seconds are all that the API server takes; what is known already is left out by its time.
            let from = since.round(jiff::Unit::Second).unwrap_or(since) - Duration::from_secs(1);
            let uri = format!("{}&sinceTime={from}", request.uri());
            *request.uri_mut() = uri
                .parse()
                .map_err(|_| kubernetes_error(&operation, ApiErrorKind::Invalid, "the request cannot be written"))?;
        }
        let body = self.connection.open(&operation, &request).await?;
        Ok(PodLog {
            operation,
            body: body.into_data_stream(),
            pending: Zeroizing::default(),
            cut: false,
            lines: VecDeque::new(),
            since,
        })
    }
}

/// A line that a container wrote.
pub struct LogLine {
    /// When, by the node's clock; none where the line does not say.
    pub at: Option<Timestamp>,
    /// The bytes, without the line's end. May hold a value: wiped when dropped, and shown by nobody as it is.
    pub text: Zeroizing<Vec<u8>>,
}

/// A container's log, read as it is written.
pub struct PodLog {
    operation: String,
    body: http_body_util::BodyDataStream<Body>,
    pending: Zeroizing<Vec<u8>>,
    /// Whether the line at hand was cut: the rest of it is left out.
    cut: bool,
    lines: VecDeque<LogLine>,
    since: Option<Timestamp>,
}

impl PodLog {
    /// The next line; none when the container has ended. Safe to drop half-way.
    pub async fn next(&mut self) -> Result<Option<LogLine>, ApiError> {
        loop {
            if let Some(line) = self.lines.pop_front() {
                return Ok(Some(line));
            }
            match self.body.next().await {
                Some(Ok(bytes)) => self.take(&bytes),
                Some(Err(_)) => {
                    return Err(kubernetes_error(&self.operation, ApiErrorKind::Connection, "it ended in the middle"));
                }
                None if self.pending.is_empty() => return Ok(None),
                None => self.end_line(),
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            if !self.cut {
                let room = LONGEST_LINE.saturating_sub(self.pending.len());
                self.pending.extend_from_slice(&text[..text.len().min(room)]);
                self.cut = text.len() > room;
            }
            if ends {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        self.cut = false;
        let line = std::mem::take(&mut self.pending);
        let blank = line.iter().position(|byte| *byte == b' ');
        let dated = blank.and_then(|blank| {
            let at = std::str::from_utf8(&line[..blank]).ok()?.parse::<Timestamp>().ok()?;
            Some((at, blank + 1))
        });
        let (at, from) = dated.map_or((None, 0), |(at, from)| (Some(at), from));
        // Asked for again after a connection broke: what was read before comes once more.
        if at.zip(self.since).is_some_and(|(at, since)| at <= since) {
            return;
        }
        self.lines.push_back(LogLine { at, text: Zeroizing::new(line[from..].to_vec()) });
    }
}
