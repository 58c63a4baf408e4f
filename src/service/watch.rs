//! Watches in the words of the contract: filters and tokens in, changes and bookmarks out.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use transcode::Event as _;
use transcode::json::{Context, Message, from_slice};

use crate::domain::error::{Error, FieldViolation, Result};
use crate::domain::{Category, Warehouse};
use crate::events::watch::{Effect, Filter, Notice};
use crate::pb::catalog::v1 as pb;
use crate::pb::catalog::v1::watch_products_response::Change;
use crate::store::outbox::{self, InvalidPosition, Position};

/// The field that takes a token.
pub(super) const RESUME_TOKEN: &str = "resumeToken";

/// What a caller wants to know about, and from where on.
pub(super) fn query(request: &pb::WatchProductsRequest) -> Result<(Filter, Option<Position>)> {
    let mut violations = Vec::new();
    let mut refuse = |field, message| violations.push(FieldViolation::new(field, message));
    let category = request.category.as_deref().map(Category::parse).transpose();
    let warehouse = request
        .warehouse
        .as_deref()
        .map(Warehouse::parse)
        .transpose();
    let token = request.resume_token.as_str();
    let from = (!token.is_empty()).then(|| position(token)).transpose();
    let filter = Filter {
        category: category.unwrap_or_else(|message| {
            refuse("category", message);
            None
        }),
        warehouse: warehouse.unwrap_or_else(|message| {
            refuse("warehouse", message);
            None
        }),
    };
    let from = from.unwrap_or_else(|InvalidPosition| {
        refuse(
            RESUME_TOKEN,
            "Must be a token of an earlier watch".to_owned(),
        );
        None
    });
    if violations.is_empty() {
        Ok((filter, from))
    } else {
        Err(Error::InvalidParameters(violations))
    }
}

/// A position as callers have it. In base64url, so that it stands in a URL as it is, and that nobody reads it.
fn token(position: &Position) -> String {
    URL_SAFE_NO_PAD.encode(position.to_string())
}

fn position(token: &str) -> std::result::Result<Position, InvalidPosition> {
    let text = URL_SAFE_NO_PAD.decode(token).map_err(|_| InvalidPosition)?;
    std::str::from_utf8(&text)
        .map_err(|_| InvalidPosition)?
        .parse()
}

/// What a caller is told.
pub(super) fn message(notice: Notice) -> Result<pb::WatchProductsResponse> {
    let resume_token = token(&notice.position);
    let Some((message, effect)) = notice.change else {
        return Ok(pb::WatchProductsResponse {
            resume_token,
            ..Default::default()
        });
    };
    let effect = match effect {
        Effect::Entered => pb::ListEffect::Entered,
        Effect::Changed => pb::ListEffect::Changed,
        Effect::Left => pb::ListEffect::Left,
    };
    Ok(pb::WatchProductsResponse {
        change: Some(change(&message).map_err(|error| Error::Internal(error.into()))?),
        effect: Some(effect.into()),
        resume_token,
    })
}

/// The event, which the outbox keeps as it is published.
fn change(message: &outbox::Message) -> serde_json::Result<Change> {
    let payload = message.payload.get();
    Ok(match message.event_type.as_str() {
        pb::ProductCreatedEvent::TYPE => Change::Created(read(payload)?),
        pb::ProductDeletedEvent::TYPE => Change::Deleted(read(payload)?),
        _ => Change::Updated(read(payload)?),
    })
}

fn read<M: Message>(payload: &str) -> serde_json::Result<M> {
    // What it complains about is not looked at: a newer version of the service may have written fields that this one
    // does not know.
    from_slice(payload.as_bytes(), &mut Context::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_position_in_letters_that_urls_take() {
        for text in ["745:745:", "745:750:746,748/760:770:765/749/12"] {
            let text: Position = text.parse().unwrap();
            let token = token(&text);
            assert!(
                token
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)),
                "{token}"
            );
            assert_eq!(position(&token), Ok(text));
        }
        for token in ["x", "NzQ1", "NzQ1Ojc0NTo=", "____"] {
            assert_eq!(position(token), Err(InvalidPosition), "{token}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let request = pb::WatchProductsRequest {
            category: Some(String::new()),
            warehouse: Some("x".repeat(51)),
            resume_token: "nonsense".to_owned(),
        };
        let Err(Error::InvalidParameters(violations)) = query(&request) else {
            panic!("taken");
        };
        let fields: Vec<_> = violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["category", "warehouse", RESUME_TOKEN]);
        let all = query(&pb::WatchProductsRequest::default()).unwrap();
        assert_eq!(all, (Filter::default(), None));
    }
}
