//! An image over a backhaul that breaks: one content of the object is pinned, fetched range by range, resumed where
//! it broke off (after a restart of the process, too), and given out whole or not at all.

use std::sync::Arc;

use aws_smithy_http_client::Connector;
use tokio::sync::mpsc;

use super::part::Part;
use super::part::Pin;
use super::part::Setback;
use super::patience::Backoff;
use super::patience::random;
use super::settings::Settings;
use super::shelf::Begun;
use super::shelf::Shelf;
use super::source::GET;
use super::source::Object;
use super::source::Source;
use super::trouble::Trouble;
use super::web::Web;
use crate::broadcast::SignatureWish;
use crate::daemon::fact::Fact;
use crate::daemon::fact::FetchOrder;
use crate::image::Digest;
use crate::signing::Evidence;
use crate::signing::open_signed_object;
use crate::task::ImageRef;
use crate::task::TaskId;

/// How much one request asks for, bytes: so much is lost at most where a proxy keeps a body back until it is
/// whole.
const RANGE_BYTES: usize = 128 * 1024;
/// An object that changed so often while it was fetched is being worked on.
const MAX_STARTS: u32 = 4;

/// What a download is made with.
#[derive(Clone)]
pub(super) struct Tools {
    pub s3: aws_sdk_s3::Client,
    pub web: Arc<Connector>,
    pub settings: Arc<Settings>,
    /// `None`: this gateway keeps no images.
    pub shelf: Option<Shelf>,
}

/// Brings the image of `order` and what vouches for it, as long as it takes. `facts` is told what keeps it away.
///
/// # Errors
/// What time does not cure: not an image, not an address; one line with the way out.
pub(super) async fn fetch(
    tools: &Tools,
    order: &FetchOrder,
    facts: &mpsc::Sender<Fact>,
) -> Result<(Vec<u8>, Option<Evidence>), String> {
    let settings = &*tools.settings;
    let (place, source) = match &order.image {
        ImageRef::S3 { bucket, key, version, .. } => {
            let (client, version) = (&tools.s3, version.as_deref());
            (order.image.to_string(), Source::S3(Object { client, settings, bucket, key, version }))
        }
        // The name on the shelf is a hash of it.
        ImageRef::Https(address) => {
            (address.clone(), Source::Web(Web { connector: &tools.web, settings, address }))
        }
        ImageRef::File(_) => return Err(format!("{}: it is a file of this gateway", order.image)),
    };
    let backoff = Backoff::new(settings.patience.fetch_first, settings.patience.longest);
    let mut download = Download { tools, order, facts, source, place, backoff, trouble: None };
    let brought = download.run().await.map_err(|reason| format!("{}: {reason}", order.image))?;
    let (bytes, task) = (&brought.0, &order.task);
    tracing::info!("image of task {task}: {} bytes, SHA-256 {}", bytes.len(), Digest::of(bytes));
    Ok(brought)
}

struct Download<'a> {
    tools: &'a Tools,
    order: &'a FetchOrder,
    facts: &'a mpsc::Sender<Fact>,
    source: Source<'a>,
    place: String,
    backoff: Backoff,
    /// The last trouble since something went well, for the log.
    trouble: Option<Trouble>,
}

impl Download<'_> {
    async fn run(&mut self) -> Result<(Vec<u8>, Option<Evidence>), String> {
        let kept = self.on_the_shelf().await;
        if let Some(bytes) = kept.clone().filter(|_| self.order.signature == SignatureWish::No) {
            return Ok((bytes, None));
        }
        for _ in 0..MAX_STARTS {
            let pin = self.pinned().await?;
            let fetched = match &kept {
                Some(bytes) => Some(bytes.clone()),
                None => self.pinned_bytes(&pin).await?,
            };
            if let Some(bytes) = fetched
                && let Some((bytes, evidence)) = self.vouched(&pin, bytes).await?
            {
                if kept.is_none() {
                    self.keep(&pin, &bytes).await;
                }
                return Ok((bytes, evidence));
            }
            let task = self.task();
            tracing::warn!("image of task {task}: the object changed while it was fetched: from the start");
        }
        Err(format!("it changed {MAX_STARTS} times while it was fetched; upload it once and order anew"))
    }

    async fn pinned(&mut self) -> Result<Pin, String> {
        loop {
            match self.source.pin().await {
                Ok(pin) => return Ok(pin),
                Err(setback) => self.endure(setback).await?,
            }
        }
    }

    /// All bytes of `pin`; `None` when the object is not that any more.
    async fn pinned_bytes(&mut self, pin: &Pin) -> Result<Option<Vec<u8>>, String> {
        let mut bytes = self.begun(pin).await;
        if !bytes.is_empty() {
            tracing::info!("image of task {}: {} of {} bytes are here", self.task(), bytes.len(), pin.size);
        }
        while bytes.len() < pin.size {
            let before = bytes.len();
            let result = self.range(pin, &mut bytes).await;
            if bytes.len() > before {
                bytes = self.add(pin, bytes, before).await;
                self.went_well();
            }
            match result {
                Ok(()) => {}
                Err(Setback::Changed) => {
                    self.forget(pin).await;
                    return Ok(None);
                }
                Err(setback) => self.endure(setback).await?,
            }
        }
        if let Some(name) = pin.checksums.iter().find_map(|sum| sum.breach(&bytes)) {
            let task = self.task();
            tracing::warn!("image of task {task}: its {name} is not the one that S3 has of it: thrown away");
            self.forget(pin).await;
            return Ok(None);
        }
        Ok(Some(bytes))
    }

    /// The image in `bytes`, and the signature that is wanted with it; `None` when the object has changed while a
    /// signature was waited for.
    async fn vouched(
        &mut self,
        pin: &Pin,
        bytes: Vec<u8>,
    ) -> Result<Option<(Vec<u8>, Option<Evidence>)>, String> {
        if self.order.signature == SignatureWish::No {
            return Ok(Some((bytes, None)));
        }
        let opened = open_signed_object(&self.order.image.to_string(), &bytes);
        if let Some((image, evidence)) = opened.map_err(|error| error.to_string())? {
            return Ok(Some((image, Some(evidence))));
        }
        if let Some(evidence) = &pin.evidence {
            return Ok(Some((bytes, Some(evidence.clone()))));
        }
        let is_needed = self.order.signature == SignatureWish::Needed;
        if is_needed && matches!(self.source, Source::Web(_)) {
            return Err("nothing lies beside an address of the web: give the task's Sha256".to_owned());
        }
        loop {
            match self.source.signature(pin).await {
                Ok(None) if is_needed => self.wait_for_signature().await,
                Ok(evidence) => return Ok(Some((bytes, evidence))),
                Err(trouble) => {
                    self.endure(Setback::Trouble(trouble)).await?;
                    continue;
                }
            }
            // A signature that comes later may be one of another content.
            if !self.pinned().await?.is_same(pin) {
                return Ok(None);
            }
        }
    }

    async fn wait_for_signature(&mut self) {
        let trouble = Trouble::NotFound { action: "the signature of the image" };
        if !self.trouble.as_ref().is_some_and(|before| before.is_like(&trouble)) {
            let image = &self.order.image;
            let why = format!(
                "{image}: no signature: put it beside the object as KEY.sig (`openssl dgst -sha256 -sign`), or into its metadata as sig-sha256-ecdsa or sig-sha256-rsa; or give the task's Sha256"
            );
            self.tell_missing(why).await;
        }
        self.trouble = Some(trouble);
        tokio::time::sleep(self.backoff.next(random())).await;
    }

    fn went_well(&mut self) {
        self.backoff.reset();
        self.trouble = None;
    }

    /// Waits, or gives up.
    async fn endure(&mut self, setback: Setback) -> Result<(), String> {
        let trouble = match setback {
            Setback::Final(reason) => return Err(reason),
            Setback::Changed => return Ok(()),
            Setback::Trouble(trouble) => trouble,
        };
        if !self.trouble.as_ref().is_some_and(|before| before.is_like(&trouble)) {
            if trouble.is_lasting() {
                let why = format!("{}: {trouble}{}", self.order.image, self.hint(&trouble));
                self.tell_missing(why).await;
            } else {
                tracing::warn!("image of task {}: {trouble}; the download is resumed", self.task());
            }
        }
        self.trouble = Some(trouble);
        tokio::time::sleep(self.backoff.next(random())).await;
        Ok(())
    }

    async fn tell_missing(&self, why: String) {
        // Nobody there: the daemon stops.
        let _ = self.facts.send(Fact::ImageMissing(self.task().clone(), why)).await;
    }

    fn hint(&self, trouble: &Trouble) -> String {
        match (trouble, &self.order.image) {
            (Trouble::Denied { .. }, ImageRef::S3 { bucket, key, .. }) => format!(
                " on arn:aws:s3:::{bucket}/{key} (S3 says so of a missing object, too, unless s3:ListBucket is allowed)"
            ),
            (Trouble::Denied { .. }, _) => "; a signed address ends with its time: order anew".to_owned(),
            (Trouble::NotFound { .. }, _) => "; upload it, or correct FirmwareUpdateImage".to_owned(),
            _ => String::new(),
        }
    }

    fn task(&self) -> &TaskId {
        &self.order.task
    }

    /// Appends the next range of `pin` to `bytes`; what came before it broke off is kept.
    async fn range(&self, pin: &Pin, bytes: &mut Vec<u8>) -> Result<(), Setback> {
        let begin = bytes.len();
        let end = pin.size.min(begin + RANGE_BYTES);
        let patience = &self.tools.settings.patience;
        let deadline = patience.of_range(if pin.etag.is_some() { end - begin } else { pin.size });
        match tokio::time::timeout(deadline, self.transfer(pin, bytes, begin, end)).await {
            Ok(result) => result,
            Err(_) => Err(Setback::Trouble(Trouble::stalled(GET, deadline))),
        }
    }

    async fn transfer(
        &self,
        pin: &Pin,
        bytes: &mut Vec<u8>,
        begin: usize,
        end: usize,
    ) -> Result<(), Setback> {
        let Part { begin, end, mut body } = self.source.open(pin, begin, end).await?;
        let unreadable = |why| Err(Setback::Trouble(Trouble::Unreadable { action: GET, why }));
        bytes.truncate(begin);
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| Setback::Trouble(Trouble::cut(GET, &error)))?;
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
    async fn on_the_shelf(&self) -> Option<Vec<u8>> {
        let digest = self.order.digest?;
        let bytes = self.shelf(move |shelf| shelf.image(digest)).await??;
        tracing::info!("image of task {}: it is here already", self.task());
        Some(bytes)
    }

    /// What is here of `pin`.
    async fn begun(&self, pin: &Pin) -> Vec<u8> {
        let (begun, size) = (self.name(pin), pin.size);
        let bytes = self.shelf(move |shelf| shelf.begun(&begun, size)).await;
        bytes.filter(|_| pin.etag.is_some()).unwrap_or_default()
    }

    async fn add(&self, pin: &Pin, bytes: Vec<u8>, known: usize) -> Vec<u8> {
        if self.tools.shelf.is_none() || pin.etag.is_none() {
            return bytes;
        }
        let begun = self.name(pin);
        let bytes = Arc::new(bytes);
        let theirs = Arc::clone(&bytes);
        self.done(self.shelf(move |shelf| shelf.add(&begun, &theirs, known)).await);
        Arc::unwrap_or_clone(bytes)
    }

    async fn keep(&self, pin: &Pin, bytes: &[u8]) {
        let (begun, digest, bytes) = (self.name(pin), Digest::of(bytes), bytes.to_vec());
        if let Some(shelf) = &self.tools.shelf {
            shelf.needed().need(self.task(), Some(digest));
        }
        self.done(self.shelf(move |shelf| shelf.keep(&begun, digest, &bytes)).await);
    }

    async fn forget(&self, pin: &Pin) {
        let begun = self.name(pin);
        self.shelf(move |shelf| shelf.forget(&begun)).await;
    }

    fn name(&self, pin: &Pin) -> Begun {
        Begun::new(&self.place, pin)
    }

    fn done(&self, result: Option<std::io::Result<()>>) {
        if let Some(Err(error)) = result {
            tracing::warn!("image of task {}: not kept on this disk: {error}", self.task());
        }
    }

    /// Does something that waits for the disk; `None` when there is no shelf.
    async fn shelf<T: Send + 'static>(&self, work: impl FnOnce(&Shelf) -> T + Send + 'static) -> Option<T> {
        let shelf = self.tools.shelf.clone()?;
        tokio::task::spawn_blocking(move || work(&shelf)).await.ok()
    }
}
