//! An image at an `https://` address, pre-signed or not. It is asked with GET only: an address that is signed is
//! signed for one method.

use aws_sdk_s3::config::http::HttpRequest;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector;

use super::part::Part;
use super::part::Pin;
use super::part::Setback;
use super::part::check_size;
use super::part::part;
use super::settings::Settings;
use super::trouble::Trouble;

const GET: &str = "GET of the image";

/// An address, which may be worth as much as a password: it is shown nowhere.
pub(super) struct Web<'a> {
    pub connector: &'a Connector,
    pub settings: &'a Settings,
    pub address: &'a str,
}

impl Web<'_> {
    /// The first byte tells of the rest.
    pub(super) async fn pin(&self) -> Result<Pin, Setback> {
        let answer = self.get(0, 1, None).await?;
        let length = header(&answer, "content-length").and_then(|text| text.parse().ok());
        let total = header(&answer, "content-range").and_then(|range| range.rsplit('/').next()?.parse().ok());
        // Without ranges the whole is on its way already; the connection is given up for it.
        let size: usize = if answer.status().as_u16() == 206 { total } else { length }.unwrap_or(0);
        check_size(size, self.settings.max_image_bytes).map_err(Setback::Final)?;
        // A weak tag may stay the same while bytes change.
        let etag = header(&answer, "etag").filter(|etag| etag.starts_with('"')).map(str::to_owned);
        Ok(Pin { size, etag, ..Pin::default() })
    }

    pub(super) async fn open(&self, pin: &Pin, begin: usize, end: usize) -> Result<Part, Setback> {
        // Without a tag ranges cannot be told apart: the whole at once, or nothing.
        let (begin, end) = if pin.etag.is_some() { (begin, end) } else { (0, pin.size) };
        let answer = self.get(begin, end, pin.etag.as_deref()).await?;
        if header(&answer, "etag").filter(|_| pin.etag.is_some()) != pin.etag.as_deref() {
            return Err(Setback::Changed);
        }
        let length = header(&answer, "content-length").and_then(|text| text.parse().ok());
        let announced = part(GET, pin.size, begin..end, header(&answer, "content-range"), length)?;
        let (begin, end) = announced.unwrap_or((0, pin.size));
        Ok(Part { begin, end, body: ByteStream::new(answer.into_body()) })
    }

    async fn get(&self, begin: usize, end: usize, etag: Option<&str>) -> Result<HttpResponse, Setback> {
        let mut request = HttpRequest::new(SdkBody::empty());
        let is_address = request.set_uri(self.address).is_ok();
        if !is_address {
            return Err(Setback::Final("it is no address; correct FirmwareUpdateImage".to_owned()));
        }
        let headers = request.headers_mut();
        headers.insert("range", format!("bytes={begin}-{}", end - 1));
        headers.insert("user-agent", concat!("fuotad/", env!("CARGO_PKG_VERSION")));
        if let Some(etag) = etag {
            headers.insert("if-match", etag.to_owned());
        }
        let sent = self.connector.call(request).await;
        let answer = sent.map_err(|error| Setback::Trouble(Trouble::cut(GET, &error)))?;
        match answer.status().as_u16() {
            200 | 206 => Ok(answer),
            412 | 416 => Err(Setback::Changed),
            status => Err(Setback::Trouble(Trouble::of_status(GET, status, header(&answer, "location")))),
        }
    }
}

fn header<'a>(answer: &'a HttpResponse, name: &'static str) -> Option<&'a str> {
    answer.headers().get(name)
}
