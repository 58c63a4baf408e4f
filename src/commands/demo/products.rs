//! A catalogue that looks real. The product of a number is always the same, so that loading twice changes nothing.

use std::collections::BTreeMap;

use prost_types::value::Kind;

use crate::pb::catalog::v1::{CreateProductRequest, Money, ProductStatus};

/// A line of goods: category, what they are, and what is told of them.
struct Line {
    category: &'static str,
    code: &'static str,
    goods: &'static [&'static str],
    brands: &'static [&'static str],
    attributes: &'static [(&'static str, &'static [&'static str])],
    /// Prices, in hundredths.
    price: (u64, u64),
}

const LINES: &[Line] = &[
    Line {
        category: "electronics",
        code: "ELEC",
        goods: &[
            "Laptop",
            "Monitor",
            "Keyboard",
            "Headphones",
            "Tablet",
            "Webcam",
            "Router",
            "Speaker",
        ],
        brands: &["TechBrand", "Voltaic", "Nordlys", "Pixelwerk"],
        attributes: &[
            ("color", &["Silver", "Black", "White"]),
            ("warranty", &["1 year", "2 years", "3 years"]),
        ],
        price: (1_999, 249_999),
    },
    Line {
        category: "home",
        code: "HOME",
        goods: &[
            "Desk Lamp",
            "Armchair",
            "Bookshelf",
            "Kettle",
            "Toaster",
            "Rug",
            "Mirror",
            "Blanket",
        ],
        brands: &["Hearth & Co", "Lundqvist", "Casa Verde"],
        attributes: &[
            ("material", &["Oak", "Steel", "Wool", "Glass"]),
            ("color", &["Natural", "Grey", "Green"]),
        ],
        price: (999, 89_999),
    },
    Line {
        category: "sports",
        code: "SPRT",
        goods: &[
            "Running Shoes",
            "Yoga Mat",
            "Dumbbell Set",
            "Tent",
            "Bicycle Helmet",
            "Backpack",
        ],
        brands: &["Summit", "Kestrel", "Løype"],
        attributes: &[
            ("size", &["S", "M", "L", "XL"]),
            ("color", &["Red", "Blue", "Black"]),
        ],
        price: (1_499, 59_999),
    },
    Line {
        category: "books",
        code: "BOOK",
        goods: &[
            "Novel",
            "Cookbook",
            "Atlas",
            "Biography",
            "Field Guide",
            "Poetry Collection",
        ],
        brands: &["Harbour Press", "Éditions du Pont", "Blue Door"],
        attributes: &[
            ("binding", &["Hardcover", "Paperback"]),
            ("language", &["English", "French", "German"]),
        ],
        price: (599, 7_999),
    },
    Line {
        category: "garden",
        code: "GRDN",
        goods: &[
            "Pruning Shears",
            "Watering Can",
            "Raised Bed",
            "Hose",
            "Bird Feeder",
            "Wheelbarrow",
        ],
        brands: &["Greenfield", "Terra Nova"],
        attributes: &[
            ("material", &["Zinc", "Cedar", "Plastic"]),
            ("weight", &["0.5 kg", "2 kg", "12 kg"]),
        ],
        price: (499, 29_999),
    },
];

const QUALITIES: &[&str] = &[
    "Classic", "Compact", "Premium", "Everyday", "Gaming", "Travel", "Studio", "Outdoor", "Eco",
    "Pro",
];
const WAREHOUSES: &[&str] = &["WH001", "WH002", "WH003", "WH004", "WH005"];

/// The product of a number.
pub(super) fn product(index: u32) -> CreateProductRequest {
    let mut dice = Dice(u64::from(index));
    let line = dice.pick(LINES);
    let (quality, goods, brand) = (
        *dice.pick(QUALITIES),
        *dice.pick(line.goods),
        *dice.pick(line.brands),
    );
    // Prices people know: they end in .99 or .49.
    let hundreds = line.price.0 / 100 + dice.below((line.price.1 - line.price.0) / 100);
    let cents = if dice.below(4) == 0 { "49" } else { "99" };
    let attributes: BTreeMap<String, prost_types::Value> = line
        .attributes
        .iter()
        .map(|(name, values)| ((*name).to_owned(), text(dice.pick::<&str>(values))))
        .collect();
    let status = if dice.below(20) == 0 {
        ProductStatus::Discontinued
    } else {
        ProductStatus::Active
    };
    CreateProductRequest {
        sku: format!("{}-{index:06}", line.code),
        name: format!("{quality} {goods}"),
        description: Some(format!("{quality} {} by {brand}.", goods.to_lowercase())),
        category: Some(line.category.to_owned()),
        brand: Some(brand.to_owned()),
        attributes: Some(prost_types::Struct { fields: attributes }),
        price: Some(Money {
            amount: format!("{hundreds}.{cents}"),
            currency: "USD".to_owned(),
        }),
        warehouse: Some((*dice.pick(WAREHOUSES)).to_owned()),
        status: status.into(),
    }
}

fn text(value: &str) -> prost_types::Value {
    prost_types::Value {
        kind: Some(Kind::StringValue(value.to_owned())),
    }
}

/// Numbers that look random and follow from the first (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let index = usize::try_from(self.below(list.len() as u64)).unwrap_or_default();
        &list[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use transcode::validate::Validate as _;

    #[test]
    fn products_are_valid_distinct_and_always_the_same() {
        let mut skus = std::collections::HashSet::new();
        for index in 0..10_000 {
            let product = product(index);
            let mut violations = transcode::Violations::new();
            product.validate(&mut violations);
            assert!(violations.is_empty(), "{:?}", violations.into_vec());
            assert_eq!(product, super::product(index));
            assert!(skus.insert(product.sku));
        }
    }
}
