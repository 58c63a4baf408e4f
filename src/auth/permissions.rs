//! Which RPCs services may call.

use std::collections::{BTreeMap, HashMap, HashSet};

/// The RPCs that a service may call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rpcs {
    /// Single ones, as `catalog.v1.CatalogService/GetProduct`.
    single: HashSet<String>,
    /// The services all of whose RPCs it may call.
    whole: HashSet<String>,
}

impl Rpcs {
    /// Whether the RPC of a path such as `/catalog.v1.CatalogService/GetProduct` is among them.
    pub fn contain(&self, path: &str) -> bool {
        let rpc = path.trim_start_matches('/');
        let service = rpc.split('/').next().unwrap_or_default();
        self.single.contains(rpc) || self.whole.contains(service)
    }

    fn add(&mut self, others: &Self) {
        self.single.extend(others.single.iter().cloned());
        self.whole.extend(others.whole.iter().cloned());
    }
}

/// The permission matrix: services, and what they may call.
#[derive(Debug, Clone, Default)]
pub struct Permissions(HashMap<String, Rpcs>);

impl Permissions {
    /// The matrix of lists such as `order-service: [catalog.v1.CatalogService/GetProduct, catalog.v1.StockService/*]`.
    pub fn new(lists: &BTreeMap<String, Vec<String>>) -> Self {
        let rpcs = |patterns: &Vec<String>| {
            let mut rpcs = Rpcs::default();
            for pattern in patterns {
                match pattern.strip_suffix("/*") {
                    Some(service) => rpcs.whole.insert(service.to_owned()),
                    None => rpcs.single.insert(pattern.clone()),
                };
            }
            rpcs
        };
        let services = lists.iter();
        Self(
            services
                .map(|(name, list)| (name.clone(), rpcs(list)))
                .collect(),
        )
    }

    /// The first of some names that is a service of the matrix, and what all that are may call.
    pub(super) fn of<'a>(&self, names: impl Iterator<Item = &'a str>) -> Option<(&'a str, Rpcs)> {
        let mut known = names.filter_map(|name| Some((name, self.0.get(name)?)));
        let (first, rpcs) = known.next()?;
        let mut all = rpcs.clone();
        known.for_each(|(_, rpcs)| all.add(rpcs));
        Some((first, all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_services_may_call() {
        let list = |patterns: &[&str]| patterns.iter().map(|&text| text.to_owned()).collect();
        let lists = BTreeMap::from([
            (
                "order-service".to_owned(),
                list(&["a.v1.One/Get", "b.v1.Two/*"]),
            ),
            ("reports".to_owned(), list(&["a.v1.One/List"])),
        ]);
        let permissions = Permissions::new(&lists);
        let may = |names: &[&'static str], path: &str| {
            let found = permissions.of(names.iter().copied());
            found.map(|(name, rpcs)| (name, rpcs.contain(path)))
        };
        for (path, allowed) in [
            ("/a.v1.One/Get", true),
            ("/a.v1.One/GetAll", false),
            ("/a.v1.One/List", false),
            ("/b.v1.Two/Anything", true),
            ("/b.v1.TwoMore/Anything", false),
            ("/", false),
        ] {
            let order = Some(("order-service", allowed));
            assert_eq!(may(&["else", "order-service"], path), order, "{path}");
        }
        let both = Some(("reports", true));
        assert_eq!(may(&["reports", "order-service"], "/a.v1.One/Get"), both);
        assert_eq!(may(&["nobody"], "/a.v1.One/Get"), None);
    }
}
