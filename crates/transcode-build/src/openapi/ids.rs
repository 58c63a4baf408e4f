//! Ids of operations, of which no two are alike.

use std::collections::HashMap;

use heck::ToLowerCamelCase as _;

use crate::ir::{Api, Method, Service};

/// How often names are used.
pub(super) struct Ids {
    rpcs: HashMap<String, usize>,
    in_services: HashMap<String, usize>,
}

impl Ids {
    pub(super) fn new(api: &Api) -> Self {
        let (mut rpcs, mut in_services) = (HashMap::new(), HashMap::new());
        for service in &api.services {
            for method in service
                .methods
                .iter()
                .filter(|method| !method.bindings.is_empty())
            {
                // A further rule of an RPC has its number behind the name.
                for index in 1..=method.bindings.len() {
                    let number = if index == 1 {
                        String::new()
                    } else {
                        index.to_string()
                    };
                    let count = |names: &mut HashMap<_, usize>, name: String| {
                        *names.entry(name + &number).or_default() += 1;
                    };
                    count(&mut rpcs, alone(method));
                    count(&mut in_services, with_service(service, method));
                }
            }
        }
        Self { rpcs, in_services }
    }

    /// The id of an RPC: its name, with that of the service in front where others are called so too, and with that of
    /// the package where even those are.
    pub(super) fn of(&self, service: &Service, method: &Method) -> String {
        let once = |names: &HashMap<String, usize>, name: &String| {
            let mut numbers = 1..=method.bindings.len();
            numbers.all(|index| {
                let key = if index == 1 {
                    name.clone()
                } else {
                    format!("{name}{index}")
                };
                names.get(&key) == Some(&1)
            })
        };
        let (alone, with_service) = (alone(method), with_service(service, method));
        if once(&self.rpcs, &alone) {
            alone
        } else if once(&self.in_services, &with_service) {
            with_service
        } else {
            format!("{}.{}", service.full_name(), method.name)
        }
    }
}

fn alone(method: &Method) -> String {
    method.name.to_lower_camel_case()
}

fn with_service(service: &Service, method: &Method) -> String {
    format!("{}.{}", service.name.to_lower_camel_case(), alone(method))
}
