//! Swagger UI's own files. Its stylesheet holds images as `data:` URLs, which `default-src 'self'` forbids: they are
//! taken out of it and served beside it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use swagger_ui_dist::{ApiDefinition, OpenApiSource};
use tokio::sync::OnceCell;
use tower::ServiceExt as _;

/// Where the files are.
pub(super) const PATH: &str = "/docs/assets";
const STYLESHEET: &str = "/docs/assets/swagger-ui.css";

/// The routes of the files.
pub(super) fn router() -> Router {
    let files = swagger_ui_dist::generate_routes(ApiDefinition {
        uri_prefix: PATH,
        api_definition: OpenApiSource::Uri("/openapi.json"),
        title: None::<&str>,
    });
    let style = Arc::new(Style {
        files: files.clone(),
        sheet: OnceCell::new(),
    });
    let own = Router::new()
        .route(STYLESHEET, get(stylesheet))
        .route("/docs/assets/images/{number}", get(image))
        .with_state(style);
    // The files' own route of the stylesheet is behind the one above.
    own.route(
        "/docs/assets/{file}",
        get(move |request: Request| files.clone().oneshot(request)),
    )
}

/// The stylesheet, made at its first use of the one in the package.
struct Style {
    files: Router,
    sheet: OnceCell<Sheet>,
}

/// A stylesheet without `data:` URLs, and what they held.
#[derive(Debug, Default, PartialEq)]
struct Sheet {
    text: Bytes,
    images: Vec<(HeaderValue, Bytes)>,
}

impl Style {
    async fn sheet(&self) -> &Sheet {
        let sheet = self.sheet.get_or_init(async || {
            let mut request = Request::new(Body::empty());
            *request.uri_mut() = axum::http::Uri::from_static(STYLESHEET);
            let Ok(answer) = self.files.clone().oneshot(request).await;
            // It is in the binary and is not read from anywhere.
            let text = to_bytes(answer.into_body(), usize::MAX).await;
            Sheet::of(&String::from_utf8_lossy(&text.unwrap_or_default()))
        });
        sheet.await
    }
}

impl Sheet {
    fn of(css: &str) -> Self {
        let (mut text, mut images) = (String::with_capacity(css.len()), Vec::new());
        let mut rest = css;
        while let Some(at) = rest.find("url(") {
            let (before, url) = rest.split_at(at);
            text.push_str(before);
            let taken = DataUrl::first_in(url)
                .and_then(|(url, length)| Some((url.media_type()?, url.decode()?, length)));
            if let Some((media_type, image, length)) = taken {
                // Writing to a String can't fail.
                let _ = write!(text, "url({PATH}/images/{})", images.len());
                images.push((media_type, image.into()));
                rest = &url[length..];
            } else {
                text.push_str("url(");
                rest = &url["url(".len()..];
            }
        }
        text.push_str(rest);
        Self {
            text: text.into(),
            images,
        }
    }
}

/// What stands after `data:`.
struct DataUrl<'a> {
    head: &'a str,
    body: Cow<'a, str>,
}

impl<'a> DataUrl<'a> {
    /// The one that a text begins with, as `url("data:…")` or `url(data:…)`, and the length of all that.
    fn first_in(text: &'a str) -> Option<(Self, usize)> {
        let inside = text.strip_prefix("url(")?;
        let (url, length, quoted) = if let Some(quoted) = inside.strip_prefix('"') {
            let end = closing_quote(quoted)?;
            quoted[end..].strip_prefix("\")")?;
            (&quoted[..end], "url(\"".len() + end + "\")".len(), true)
        } else {
            let end = inside.find(')')?;
            (&inside[..end], "url(".len() + end + ")".len(), false)
        };
        let (head, body) = url.strip_prefix("data:")?.split_once(',')?;
        let body = if quoted {
            body.replace("\\\"", "\"").into()
        } else {
            body.into()
        };
        Some((Self { head, body }, length))
    }

    fn media_type(&self) -> Option<HeaderValue> {
        let media_type = self.head.split(';').next()?;
        HeaderValue::from_str(media_type).ok()
    }

    fn decode(&self) -> Option<Vec<u8>> {
        if self.head.ends_with(";base64") {
            STANDARD.decode(self.body.as_bytes()).ok()
        } else {
            Some(percent_decode_str(&self.body).collect())
        }
    }
}

/// Where the quote is that ends a CSS string.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

async fn stylesheet(State(style): State<Arc<Style>>) -> Response {
    let text = style.sheet().await.text.clone();
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], text).into_response()
}

async fn image(State(style): State<Arc<Style>>, Path(number): Path<usize>) -> Response {
    match style.sheet().await.images.get(number) {
        Some((media_type, image)) => {
            ([(CONTENT_TYPE, media_type.clone())], image.clone()).into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_taken_out() {
        let sheet = Sheet::of(concat!(
            r#"a{background:url("data:image/svg+xml;charset=utf-8,<svg a=\"1\" b=\"(%23x)\"/>") no-repeat}"#,
            "b{background:url(data:image/png;base64,AQID)}c{background:url(x.png)}",
        ));
        assert_eq!(
            sheet.text,
            "a{background:url(/docs/assets/images/0) no-repeat}b{background:url(/docs/assets/images/1)}c{background:url(x.png)}"
        );
        let image = |media_type, bytes: &'static [u8]| {
            (
                HeaderValue::from_static(media_type),
                Bytes::from_static(bytes),
            )
        };
        assert_eq!(
            sheet.images,
            [
                image("image/svg+xml", br#"<svg a="1" b="(#x)"/>"#),
                image("image/png", &[1, 2, 3])
            ]
        );
    }

    #[test]
    fn what_is_no_data_url_stays() {
        for css in [
            "",
            "a{}",
            "url(",
            r#"url("data:image/png"#,
            "url(data:image/png)",
            "url(data:image/png;base64,*)",
        ] {
            assert_eq!(Sheet::of(css).text, css);
            assert_eq!(Sheet::of(css).images, []);
        }
    }

    #[tokio::test]
    async fn swagger_ui_has_no_data_url_left() {
        let style = Style {
            files: swagger_ui_dist::generate_routes(ApiDefinition {
                uri_prefix: PATH,
                api_definition: OpenApiSource::Uri("/openapi.json"),
                title: None::<&str>,
            }),
            sheet: OnceCell::new(),
        };
        let sheet = style.sheet().await;
        let text = str::from_utf8(&sheet.text).unwrap();
        assert!(text.contains(".swagger-ui") && !text.contains("data:"));
        assert!(!sheet.images.is_empty());
    }
}
