//! An image at an `https://` address, pre-signed or not. It is asked with GET only: an address that is signed is
//! signed for one method.

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

use super::error::AwsError;
use super::http_client::Http;
use super::part::FetchError;
use super::part::ObjectVersion;
use super::part::Part;
use super::part::check_size;
use super::part::part;
use super::settings::Settings;

const GET: &str = "GET of the image";

/// An address, which may be worth as much as a password: it is shown nowhere.
pub(super) struct Web<'a> {
    pub http: &'a Http,
    pub settings: &'a Settings,
    pub address: &'a str,
}

impl Web<'_> {
    /// The first byte tells of the rest.
    pub(super) async fn version(&self) -> Result<ObjectVersion, FetchError> {
        let answer = self.get(0, 1, None).await?;
        let length = header(&answer, "content-length").and_then(|text| text.parse().ok());
        let total = header(&answer, "content-range").and_then(|range| range.rsplit('/').next()?.parse().ok());
        // Without ranges the whole is on its way already; the connection is given up for it.
        let size: usize = if answer.status().as_u16() == 206 { total } else { length }.unwrap_or(0);
        check_size(size, self.settings.max_image_bytes).map_err(FetchError::Final)?;
        // A weak tag may stay the same while bytes change.
        let etag = header(&answer, "etag").filter(|etag| etag.starts_with('"')).map(str::to_owned);
        Ok(ObjectVersion { size, etag, ..ObjectVersion::default() })
    }

    pub(super) async fn open(
        &self,
        version: &ObjectVersion,
        begin: usize,
        end: usize,
    ) -> Result<Part, FetchError> {
        // Without a tag ranges cannot be told apart: the whole at once, or nothing.
        let (begin, end) = if version.etag.is_some() { (begin, end) } else { (0, version.size) };
        let answer = self.get(begin, end, version.etag.as_deref()).await?;
        if header(&answer, "etag").filter(|_| version.etag.is_some()) != version.etag.as_deref() {
            return Err(FetchError::Changed);
        }
        let length = header(&answer, "content-length").and_then(|text| text.parse().ok());
        let announced = part(GET, version.size, begin..end, header(&answer, "content-range"), length)?;
        let (begin, end) = announced.unwrap_or((0, version.size));
        Ok(Part { begin, end, body: ByteStream::new(answer.into_body()) })
    }

    async fn get(&self, begin: usize, end: usize, etag: Option<&str>) -> Result<HttpResponse, FetchError> {
        let mut request = HttpRequest::new(SdkBody::empty());
        let is_address = request.set_uri(self.address).is_ok();
        if !is_address {
            return Err(FetchError::Final("it is no address; correct FirmwareUpdateImage".to_owned()));
        }
        let headers = request.headers_mut();
        headers.insert("range", format!("bytes={begin}-{}", end - 1));
        if let Some(etag) = etag {
            headers.insert("if-match", etag.to_owned());
        }
        let sent = self.http.clone().send(request).await;
        let answer = sent.map_err(|error| FetchError::Aws(AwsError::cut(GET, &error)))?;
        match answer.status().as_u16() {
            200 | 206 => Ok(answer),
            412 | 416 => Err(FetchError::Changed),
            status => Err(FetchError::Aws(AwsError::of_status(GET, status, header(&answer, "location")))),
        }
    }
}

fn header<'a>(answer: &'a HttpResponse, name: &'static str) -> Option<&'a str> {
    answer.headers().get(name)
}
