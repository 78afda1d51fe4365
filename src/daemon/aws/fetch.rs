//! An image over a backhaul that breaks: one content of the object is fixed, fetched range by range, resumed where
//! it broke off (after a restart of the process, too), and given out whole or not at all.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::caller::Caller;
use super::error::AwsError;
use super::http_client::Http;
use super::image_cache::ImageCache;
use super::image_cache::PartialDownload;
use super::operation::GET_OBJECT;
use super::part::FetchError;
use super::part::ObjectVersion;
use super::part::Part;
use super::settings::Settings;
use super::source::Object;
use super::source::Source;
use super::timeouts::Backoff;
use super::timeouts::random;
use super::web::Web;
use crate::broadcast::SignatureWish;
use crate::daemon::fact::Fact;
use crate::daemon::fact::FetchOrder;
use crate::daemon::fact::Fetched;
use crate::image::Digest;
use crate::signing::Evidence;
use crate::signing::open_signed_object;
use crate::task::ImageRef;
use crate::task::TaskId;

/// How much one request asks for, bytes: a proxy that keeps a body back until it is whole
/// costs no more than that.
const RANGE_BYTES: usize = 128 * 1024;
/// An object that changed so often while it was fetched is being worked on.
const MAX_STARTS: u32 = 4;

/// What a download is made with.
#[derive(Clone)]
pub(super) struct FetchContext {
    pub s3: Caller,
    pub web: Http,
    pub settings: Arc<Settings>,
    /// `None`: this gateway keeps no images.
    pub cache: Option<ImageCache>,
}

/// Brings the image of `order` and what vouches for it, as long as it takes. `facts` is told what keeps it away.
///
/// # Errors
/// What time does not cure: not an image, not an address; one line with the way out.
pub(super) async fn fetch(
    context: &FetchContext,
    order: &FetchOrder,
    facts: &mpsc::Sender<Fact>,
) -> Result<(Vec<u8>, Option<Evidence>), String> {
    let settings = &*context.settings;
    let (place, source) = match &order.image {
        ImageRef::S3 { bucket, key, version, .. } => {
            let (caller, version) = (&context.s3, version.as_deref());
            (order.image.to_string(), Source::S3(Object { caller, settings, bucket, key, version }))
        }
        // The name in the cache is a hash of it.
        ImageRef::Https(address) => {
            (address.clone(), Source::Web(Web { http: &context.web, settings, address }))
        }
        ImageRef::File(_) => return Err(format!("{}: it is a file of this gateway", order.image)),
    };
    let backoff = Backoff::new(settings.timeouts.fetch_first, settings.timeouts.longest);
    let mut download = Download { context, order, facts, source, place, backoff, error: None };
    let brought = download.run().await.map_err(|reason| format!("{}: {reason}", order.image))?;
    let (bytes, task) = (&brought.0, &order.task);
    tracing::info!("image of task {task}: {} bytes, SHA-256 {}", bytes.len(), Digest::of(bytes));
    Ok(brought)
}

struct Download<'a> {
    context: &'a FetchContext,
    order: &'a FetchOrder,
    facts: &'a mpsc::Sender<Fact>,
    source: Source<'a>,
    place: String,
    backoff: Backoff,
    /// The last error since something went well, for the log.
    error: Option<AwsError>,
}

impl Download<'_> {
    async fn run(&mut self) -> Result<(Vec<u8>, Option<Evidence>), String> {
        let kept = self.cached().await;
        if let Some(bytes) = kept.clone().filter(|_| self.order.signature == SignatureWish::No) {
            return Ok((bytes, None));
        }
        for _ in 0..MAX_STARTS {
            let version = self.current_version().await?;
            let fetched = match &kept {
                Some(bytes) => Some(bytes.clone()),
                None => self.version_bytes(&version).await?,
            };
            if let Some(bytes) = fetched
                && let Some((bytes, evidence)) = self.vouched(&version, bytes).await?
            {
                if kept.is_none() {
                    self.keep(&version, &bytes).await;
                }
                return Ok((bytes, evidence));
            }
            let task = self.task();
            tracing::warn!("image of task {task}: the object changed while it was fetched: from the start");
        }
        Err(format!("it changed {MAX_STARTS} times while it was fetched; upload it once and order anew"))
    }

    async fn current_version(&mut self) -> Result<ObjectVersion, String> {
        loop {
            match self.source.version().await {
                Ok(version) => return Ok(version),
                Err(error) => self.back_off(error).await?,
            }
        }
    }

    /// All bytes of `version`; `None` when the object is not that any more.
    async fn version_bytes(&mut self, version: &ObjectVersion) -> Result<Option<Vec<u8>>, String> {
        let mut bytes = self.partial(version).await;
        if !bytes.is_empty() {
            tracing::info!(
                "image of task {}: {} of {} bytes are here",
                self.task(),
                bytes.len(),
                version.size
            );
        }
        while bytes.len() < version.size {
            let before = bytes.len();
            let result = self.range(version, &mut bytes).await;
            if bytes.len() > before {
                bytes = self.add(version, bytes, before).await;
                self.went_well();
            }
            match result {
                Ok(()) => {}
                Err(FetchError::Changed) => {
                    self.forget(version).await;
                    return Ok(None);
                }
                Err(error) => self.back_off(error).await?,
            }
        }
        if let Some(name) = version.checksums.iter().find_map(|sum| sum.breach(&bytes)) {
            let task = self.task();
            tracing::warn!("image of task {task}: its {name} is not the one that S3 has of it: thrown away");
            self.forget(version).await;
            return Ok(None);
        }
        Ok(Some(bytes))
    }

    /// The image in `bytes`, and the signature that is wanted with it; `None` when the object has changed while a
    /// signature was waited for.
    async fn vouched(
        &mut self,
        version: &ObjectVersion,
        bytes: Vec<u8>,
    ) -> Result<Option<(Vec<u8>, Option<Evidence>)>, String> {
        if self.order.signature == SignatureWish::No {
            return Ok(Some((bytes, None)));
        }
        let opened = open_signed_object(&self.order.image.to_string(), &bytes);
        if let Some((image, evidence)) = opened.map_err(|error| error.to_string())? {
            return Ok(Some((image, Some(evidence))));
        }
        if let Some(evidence) = &version.evidence {
            return Ok(Some((bytes, Some(evidence.clone()))));
        }
        let is_needed = self.order.signature == SignatureWish::Needed;
        if is_needed && matches!(self.source, Source::Web(_)) {
            return Err("nothing lies beside an address of the web: give the task's Sha256".to_owned());
        }
        loop {
            match self.source.signature(version).await {
                Ok(None) if is_needed => self.wait_for_signature().await,
                Ok(evidence) => return Ok(Some((bytes, evidence))),
                Err(error) => {
                    self.back_off(FetchError::Aws(error)).await?;
                    continue;
                }
            }
            // A signature that comes later may be one of another content.
            if !self.current_version().await?.is_same(version) {
                return Ok(None);
            }
        }
    }

    async fn wait_for_signature(&mut self) {
        let error = AwsError::NotFound { action: "the signature of the image" };
        if !self.error.as_ref().is_some_and(|before| before.is_like(&error)) {
            let image = &self.order.image;
            let why = format!(
                "{image}: no signature: put it beside the object as KEY.sig (`openssl dgst -sha256 -sign`), or into its metadata as sig-sha256-ecdsa or sig-sha256-rsa; or give the task's Sha256"
            );
            self.tell_missing(why).await;
        }
        self.error = Some(error);
        tokio::time::sleep(self.backoff.next(random())).await;
    }

    fn went_well(&mut self) {
        self.backoff.reset();
        self.error = None;
    }

    /// Waits, or gives up.
    async fn back_off(&mut self, error: FetchError) -> Result<(), String> {
        let error = match error {
            FetchError::Final(reason) => return Err(reason),
            FetchError::Changed => return Ok(()),
            FetchError::Aws(error) => error,
        };
        if !self.error.as_ref().is_some_and(|before| before.is_like(&error)) {
            if error.is_lasting() {
                let why = format!("{}: {error}{}", self.order.image, self.hint(&error));
                self.tell_missing(why).await;
            } else {
                tracing::warn!("image of task {}: {error}; the download is resumed", self.task());
            }
        }
        self.error = Some(error);
        tokio::time::sleep(self.backoff.next(random())).await;
        Ok(())
    }

    async fn tell_missing(&self, why: String) {
        // Nobody there: the daemon stops.
        let _ = self.facts.send(Fact::Image(self.task().clone(), Fetched::Missing(why))).await;
    }

    fn hint(&self, error: &AwsError) -> String {
        match (error, &self.order.image) {
            (AwsError::Denied { .. }, ImageRef::S3 { bucket, key, .. }) => format!(
                " on arn:aws:s3:::{bucket}/{key} (S3 says so of a missing object, too, unless s3:ListBucket is allowed)"
            ),
            (AwsError::Denied { .. }, _) => "; a signed address ends with its time: order anew".to_owned(),
            (AwsError::NotFound { .. }, _) => "; upload it, or correct FirmwareUpdateImage".to_owned(),
            _ => String::new(),
        }
    }

    fn task(&self) -> &TaskId {
        &self.order.task
    }

    /// Appends the next range of `version` to `bytes`; what came before it broke off is kept.
    async fn range(&self, version: &ObjectVersion, bytes: &mut Vec<u8>) -> Result<(), FetchError> {
        let begin = bytes.len();
        let end = version.size.min(begin + RANGE_BYTES);
        let timeouts = &self.context.settings.timeouts;
        let deadline = timeouts.of_range(if version.etag.is_some() { end - begin } else { version.size });
        match tokio::time::timeout(deadline, self.transfer(version, bytes, begin, end)).await {
            Ok(result) => result,
            Err(_) => Err(FetchError::Aws(AwsError::stalled(GET_OBJECT.action, deadline))),
        }
    }

    async fn transfer(
        &self,
        version: &ObjectVersion,
        bytes: &mut Vec<u8>,
        begin: usize,
        end: usize,
    ) -> Result<(), FetchError> {
        let Part { begin, end, mut body } = self.source.open(version, begin, end).await?;
        let unreadable = |why| Err(FetchError::Aws(AwsError::Unreadable { action: GET_OBJECT.action, why }));
        bytes.truncate(begin);
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| FetchError::Aws(AwsError::cut(GET_OBJECT.action, &error)))?;
            if bytes.len() + piece.len() > end {
                bytes.truncate(begin);
                return unreadable("it is longer than it says");
            }
            bytes.extend_from_slice(&piece);
        }
        if bytes.len() < end {
            return unreadable("it is shorter than it says");
        }
        Ok(())
    }

    /// A copy of the image that is known by its digest.
    async fn cached(&self) -> Option<Vec<u8>> {
        let digest = self.order.digest?;
        let bytes = self.cache(move |cache| cache.image(digest)).await??;
        tracing::info!("image of task {}: it is here already", self.task());
        Some(bytes)
    }

    /// What is here of `version`.
    async fn partial(&self, version: &ObjectVersion) -> Vec<u8> {
        let (partial, size) = (self.name(version), version.size);
        let bytes = self.cache(move |cache| cache.partial(&partial, size)).await;
        bytes.filter(|_| version.etag.is_some()).unwrap_or_default()
    }

    async fn add(&self, version: &ObjectVersion, bytes: Vec<u8>, known: usize) -> Vec<u8> {
        if self.context.cache.is_none() || version.etag.is_none() {
            return bytes;
        }
        let partial = self.name(version);
        let bytes = Arc::new(bytes);
        let theirs = Arc::clone(&bytes);
        self.done(self.cache(move |cache| cache.add(&partial, &theirs, known)).await);
        Arc::unwrap_or_clone(bytes)
    }

    async fn keep(&self, version: &ObjectVersion, bytes: &[u8]) {
        let (partial, digest, bytes) = (self.name(version), Digest::of(bytes), bytes.to_vec());
        if let Some(cache) = &self.context.cache {
            cache.needed().need(self.task(), Some(digest));
        }
        self.done(self.cache(move |cache| cache.keep(&partial, digest, &bytes)).await);
    }

    async fn forget(&self, version: &ObjectVersion) {
        let partial = self.name(version);
        self.cache(move |cache| cache.forget(&partial)).await;
    }

    fn name(&self, version: &ObjectVersion) -> PartialDownload {
        PartialDownload::new(&self.place, version)
    }

    fn done(&self, result: Option<std::io::Result<()>>) {
        if let Some(Err(error)) = result {
            tracing::warn!("image of task {}: not kept on this disk: {error}", self.task());
        }
    }

    /// Does something that waits for the disk; `None` when there is no image cache.
    async fn cache<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ImageCache) -> T + Send + 'static,
    ) -> Option<T> {
        let cache = self.context.cache.clone()?;
        tokio::task::spawn_blocking(move || work(&cache)).await.ok()
    }
}
