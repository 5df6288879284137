//! The requests that every kind of object needs: get, list, create, patch.

use std::time::Duration;

use http::Request;
use kube::core::params::{ListParams, Patch, PatchParams, PostParams};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Cluster;
use super::http::{Answer, Question, kubernetes_error};
use crate::clients::error::{ApiError, ApiErrorKind};
use crate::clients::fence::Fence;
use crate::clients::retry::Repeat;

/// How often a patch without a precondition is repeated after a conflict.
const PATCH_CONFLICTS: u32 = 5;

/// Objects asked for at once, as kubectl does.
const PAGE: u32 = 500;

/// The most pages of a list: half a million objects. A list that goes on is none.
const MOST_PAGES: usize = 1000;

/// The most bytes of a list, all pages together.
const MOST_BYTES: usize = 512 * 1024 * 1024;

/// The most time for a list. Each page has a limit of its own; pages that come slowly and for ever would pass it.
const MOST_TIME: Duration = Duration::from_secs(120);

impl Cluster {
    pub(super) fn operation(&self, verb: &str, kind: &str, name: &str) -> String {
        format!("{verb} {} {}/{name}", kind.to_lowercase(), self.namespace)
    }

    pub(super) async fn get_at<T: DeserializeOwned>(
        &self,
        operation: &str,
        path: &str,
        name: &str,
    ) -> Result<Option<T>, ApiError> {
        let request = kube::core::Request::new(path).get(name, &Default::default());
        found(self.ask(operation, request, Repeat::Unanswered).await)?.map(|answer| answer.parse()).transpose()
    }

    pub(super) async fn list_at<T: DeserializeOwned>(
        &self,
        operation: &str,
        path: &str,
        fields: &str,
    ) -> Result<Vec<T>, ApiError> {
        let mut params = ListParams::default();
        if !fields.is_empty() {
            params = params.fields(fields);
        }
        self.list_where(operation, path, params).await
    }

    pub(super) async fn list_where<T: DeserializeOwned>(
        &self,
        operation: &str,
        path: &str,
        params: ListParams,
    ) -> Result<Vec<T>, ApiError> {
        let mut expired = false;
        loop {
            let pages = tokio::time::timeout(MOST_TIME, self.list_pages(operation, path, params.clone()));
            match pages.await.unwrap_or_else(|_| Err(endless(operation))) {
                // The pages took longer than the server keeps their version: once more from the start.
                Err(error) if error.kind == ApiErrorKind::Expired && !expired => expired = true,
                result => return result,
            }
        }
    }

    async fn list_pages<T: DeserializeOwned>(
        &self,
        operation: &str,
        path: &str,
        params: ListParams,
    ) -> Result<Vec<T>, ApiError> {
        #[derive(Deserialize)]
        struct Page<T> {
            metadata: PageMetadata,
            // Vec's own default asks nothing of T; serde's attribute would.
            #[serde(default = "Vec::new")]
            items: Vec<T>,
        }
        #[derive(Deserialize)]
        struct PageMetadata {
            #[serde(rename = "continue")]
            next: Option<String>,
        }
        let mut params = params.limit(PAGE);
        let mut objects = Vec::new();
        let mut size = 0;
        for _ in 0..MOST_PAGES {
            let request = kube::core::Request::new(path).list(&params);
            let answer = self.ask(operation, request, Repeat::Unanswered).await?;
            size += answer.size();
            let page: Page<T> = answer.parse()?;
            objects.extend(page.items);
            match page.metadata.next.filter(|next| !next.is_empty()) {
                None => return Ok(objects),
                // The page that was just read, once more.
                next if next == params.continue_token || size > MOST_BYTES => break,
                next => params.continue_token = next,
            }
        }
        Err(endless(operation))
    }

    pub(super) async fn create<T: serde::Serialize>(
        &self,
        operation: &str,
        path: &str,
        object: &T,
        repeat: Repeat,
    ) -> Result<Answer, ApiError> {
        let params = PostParams { dry_run: self.dry_run, ..PostParams::default() };
        let request = kube::core::Request::new(path).create(&params, to_json(operation, object)?);
        self.ask(operation, request, repeat).await
    }

    pub(super) async fn read(
        &self,
        operation: &str,
        request: Result<Request<Vec<u8>>, http::Error>,
    ) -> Result<Answer, ApiError> {
        self.ask(operation, request, Repeat::Unanswered).await
    }

    pub(super) async fn ask<E>(
        &self,
        operation: &str,
        request: Result<Request<Vec<u8>>, E>,
        repeat: Repeat,
    ) -> Result<Answer, ApiError> {
        let request = request.map_err(|_| cannot_write(operation))?;
        let operation = operation.to_owned();
        self.connection.send(Question { operation, request, repeat, fence: Fence::OPEN }).await
    }

    /// The same of what changes an object that the lock guards.
    pub(super) async fn write<E>(
        &self,
        operation: &str,
        request: Result<Request<Vec<u8>>, E>,
        repeat: Repeat,
    ) -> Result<Answer, ApiError> {
        let request = request.map_err(|_| cannot_write(operation))?;
        let (operation, fence) = (operation.to_owned(), self.fence.clone());
        self.connection.send(Question { operation, request, repeat, fence }).await
    }

    pub(super) async fn patch(
        &self,
        operation: &str,
        path: &str,
        name: &str,
        patch: serde_json::Value,
        field_manager: &str,
    ) -> Result<Answer, ApiError> {
        let has_precondition = patch.pointer("/metadata/resourceVersion").is_some();
        let params = PatchParams { dry_run: self.dry_run, ..PatchParams::apply(field_manager) };
        let patch = Patch::Merge(patch);
        // Without a precondition a conflict is the server's own, with another writer at the same moment: it did nothing.
        let mut conflicts = 0;
        loop {
            let request = kube::core::Request::new(path).patch(name, &params, &patch);
            match self.write(operation, request, Repeat::NotDone).await {
                Err(error)
                    if error.kind == ApiErrorKind::Conflict && !has_precondition && conflicts < PATCH_CONFLICTS =>
                {
                    conflicts += 1;
                }
                answer => return answer,
            }
        }
    }
}

fn endless(operation: &str) -> ApiError {
    kubernetes_error(operation, ApiErrorKind::Malformed, "the list does not end")
}

/// None for what does not exist.
pub(super) fn found<T>(answer: Result<T, ApiError>) -> Result<Option<T>, ApiError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind == ApiErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn to_json<T: serde::Serialize>(operation: &str, object: &T) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(object).map_err(|_| cannot_write(operation))
}

fn cannot_write(operation: &str) -> ApiError {
    kubernetes_error(operation, ApiErrorKind::Invalid, "the request cannot be written")
}
