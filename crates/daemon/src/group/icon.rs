//! The bytes of a group's picture: handed along with the call, or a file that is kept.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use wabridge_domain::Kind;
use wabridge_domain::error::Refusal;
use wabridge_domain::group;
use wabridge_rpc::Failure;
use wabridge_rpc::group::Icon;
use wabridge_store::media::Blob;
use wabridge_store::{StoreError, media, media_at_provider, odoo, read};

use super::{Work, invalid};
use crate::access;
use crate::media::content;

/// Largest picture that any provider takes.
const MAX_BYTES: u64 = 5 * 1024 * 1024;

/// Reads a picture; its bytes say what it is.
pub(super) async fn read(work: &Work, icon: &Icon) -> Result<group::Icon, Failure> {
    let bytes = match (icon.id, &icon.base64) {
        (None, Some(text)) => {
            let dense: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
            STANDARD.decode(dense).map_err(|_| {
                invalid("icon.base64 cannot be read: it is the picture's bytes in standard base64")
            })?
        }
        (Some(id), None) => kept(work, id).await?,
        _ => return Err(invalid("icon holds either id (a row of whatsapp_media) or base64")),
    };
    if bytes.len() as u64 > MAX_BYTES {
        return Err(too_large());
    }
    let mimetype = content::mimetype(&bytes, None);
    if !matches!(mimetype.as_str(), "image/jpeg" | "image/png") {
        let why = "the picture of a group is a JPEG or PNG file; choose another one";
        return Err(Failure::new(Kind::MediaTypeUnsupported, why));
    }
    Ok(group::Icon { mimetype, bytes })
}

fn too_large() -> Failure {
    Failure::new(
        Kind::MediaTooLarge,
        "the picture of a group has at most 5 MiB; choose a smaller one",
    )
}

async fn kept(work: &Work, id: i32) -> Result<Vec<u8>, Failure> {
    let (rt, account, uid) = (&work.rt, work.account.id, work.caller.user.uid);
    let found: Result<(Option<bool>, Option<Blob>), StoreError> =
        read!(&rt.store, "group.icon", |client| {
            let may = media_at_provider::may_send(client, id, account, uid).await?;
            let row = odoo::media::get(client, id).await?;
            let blob = match row.and_then(|row| row.checksum) {
                Some(checksum) => media::blob(client, &checksum).await?,
                None => None,
            };
            Ok::<_, StoreError>((may, blob))
        });
    let missing = || Refusal::new(Kind::RecordNotFound, format!("there is no file with id {id}"));
    let blob = match found.map_err(|error| access::store_refusal(rt, &error))? {
        (Some(true), Some(blob)) => blob,
        (Some(false), _) => {
            let why = "this user may not use that file with this account";
            return Err(Failure::new(Kind::AccessDenied, why));
        }
        _ => return Err(missing().into()),
    };
    if u64::try_from(blob.size).unwrap_or_default() > MAX_BYTES {
        return Err(too_large());
    }
    let installation = rt.installation().ok_or_else(missing)?;
    let bytes = async {
        let stored = rt.media.blobs.open(&rt.keys, installation, &blob).await?;
        stored.read(0, stored.size()).await
    };
    match bytes.await {
        Ok(bytes) => Ok(bytes.to_vec()),
        Err(error) => {
            tracing::error!(db.name = %rt.name, %error, "the picture of a group cannot be read: {error}");
            let why = "the bridge cannot read that file just now; its log says why";
            Err(Failure::new(Kind::DatabaseUnavailable, why))
        }
    }
}
