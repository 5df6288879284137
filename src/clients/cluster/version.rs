//! What the API server says of itself.

use http::Request;
use serde::Deserialize;

use super::Cluster;
use crate::clients::error::ApiError;

impl Cluster {
    /// The API server's version, such as `v1.33.1`.
    pub async fn version(&self) -> Result<String, ApiError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Version {
            git_version: String,
        }
        let answer = self.read("get version", Request::get("/version").body(Vec::new())).await?;
        Ok(answer.parse::<Version>()?.git_version)
    }
}
