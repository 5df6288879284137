//! In which form objects are shown: plain, as a table, or their metadata only.

use serde_json::{Value, json};

use super::answer::Refusal;
use super::request::{Ask, Form, Target};
use super::resource::Resource;
use super::table::{self, Carry};
use crate::clock::Clock;

/// How one request wants its objects.
#[derive(Clone, Debug)]
pub(super) struct View {
    form: Form,
    carry: Carry,
    resource: &'static Resource,
    clock: Clock,
}

impl View {
    pub fn of(ask: &Ask, target: &Target) -> Result<Self, Refusal> {
        let carry = Carry::named(ask.query.text("includeObject"));
        Ok(Self { form: ask.form()?, carry, resource: target.resource, clock: ask.clock.clone() })
    }

    pub fn one(&self, object: &Value) -> Value {
        match self.form {
            Form::Plain => object.clone(),
            Form::Metadata => table::metadata_only(object),
            Form::Table => self.rows(std::slice::from_ref(object), &object["metadata"]["resourceVersion"], true),
        }
    }

    /// One object of a watch; only the first table of it names the columns.
    pub fn watched(&self, object: &Value, is_first: bool) -> Value {
        match self.form {
            Form::Table => self.rows(std::slice::from_ref(object), &object["metadata"]["resourceVersion"], is_first),
            _ => self.one(object),
        }
    }

    /// A bookmark: an object of which only the version counts.
    pub fn bookmark(&self, resource_version: u64) -> Value {
        let metadata = json!({"resourceVersion": resource_version.to_string(), "creationTimestamp": null});
        match self.form {
            Form::Table => self.rows(&[], &metadata["resourceVersion"], false),
            Form::Metadata => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
            }
            Form::Plain => {
                json!({"kind": self.resource.kind, "apiVersion": self.resource.api_version(), "metadata": metadata})
            }
        }
    }

    /// A list; `metadata` is the list's own.
    pub fn list(&self, objects: &[Value], metadata: Value) -> Value {
        let items = |show: &dyn Fn(&Value) -> Value| objects.iter().map(show).collect::<Vec<Value>>();
        match self.form {
            Form::Table => table::table(self.resource, &self.clock, metadata, objects, self.carry, true),
            Form::Metadata => {
                json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                "items": items(&table::metadata_only)})
            }
            Form::Plain => {
                // Items of the server's own kinds do not repeat their kind; custom ones do.
                let item = |object: &Value| {
                    let mut object = object.clone();
                    if let (false, Some(fields)) = (self.resource.custom, object.as_object_mut()) {
                        fields.shift_remove("kind");
                        fields.shift_remove("apiVersion");
                    }
                    object
                };
                json!({"kind": self.resource.list_kind(), "apiVersion": self.resource.api_version(), "metadata": metadata,
                    "items": items(&item)})
            }
        }
    }

    fn rows(&self, objects: &[Value], resource_version: &Value, with_columns: bool) -> Value {
        table::table(
            self.resource,
            &self.clock,
            json!({"resourceVersion": resource_version}),
            objects,
            self.carry,
            with_columns,
        )
    }
}
