//! The OpenAPI 3.1 description of a contract.

mod binary;
mod content;
mod errors;
mod headers;
mod ids;
mod methods;
mod operation;
mod stream;
mod websocket;

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::ir::Api;
use crate::schema::Schemas;

/// The description of a contract.
pub fn document(api: &Api) -> Value {
    let mut schemas = Schemas::new(api);
    let mut errors = errors::Used::default();
    let mut paths: Map<String, Value> = Map::new();
    let ids = ids::Ids::new(api);
    let mut shapes: HashMap<String, String> = HashMap::new();
    let mut tags = Vec::new();
    for service in &api.services {
        let tag = if service.options.tag.is_empty() {
            &service.name
        } else {
            &service.options.tag
        };
        let known = |other: &Value| other["name"].as_str() == Some(tag);
        if !tags.iter().any(known) {
            tags.push(json!({"name": tag, "description": service.docs}));
        }
        for method in &service.methods {
            for (index, binding) in method.bindings.iter().enumerate() {
                let mut route = operation::Route::new(binding);
                // Paths that differ in the names of variables only are one path.
                let shape = operation::shape(&route.path);
                let path = shapes.entry(shape).or_insert_with(|| route.path.clone());
                route.adopt(path);
                let id = ids.of(service, method);
                let operation = operation::operation(
                    &mut schemas,
                    &mut errors,
                    service,
                    method,
                    index,
                    &route,
                    &id,
                );
                let entry = paths.entry(route.path).or_insert_with(|| json!({}));
                methods::insert(entry, &binding.method, operation);
            }
        }
    }
    let info = &api.info;
    let mut about = json!({
        "title": if info.title.is_empty() { "API" } else { &info.title },
        "version": if info.version.is_empty() { "1.0" } else { &info.version },
    });
    if !info.description.is_empty() {
        about["description"] = json!(info.description);
    }
    if !info.license.is_empty() {
        about["license"] = json!({"name": info.license, "identifier": info.license});
    }
    if !info.contact_name.is_empty() {
        about["contact"] = json!({"name": info.contact_name, "url": info.contact_url});
    }
    let servers: Vec<_> = info.servers.iter().map(|url| json!({"url": url})).collect();
    json!({
        "openapi": "3.1.0",
        "info": about,
        "servers": if servers.is_empty() { vec![json!({"url": "/"})] } else { servers },
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearerAuth": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A JSON Web Token signed with RS256. Its `scope` claim holds the scopes an operation asks for.",
                },
            },
            "headers": headers::all(api),
            "responses": errors::responses(&mut schemas, &errors),
            "schemas": schemas.finish(),
        },
    })
}
