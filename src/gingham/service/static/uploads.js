// Pictures that were uploaded to search with: the page keeps their bytes as long as it is open,
// the service their features, by the id that it answers.
import { api, thumbnail } from './api.js';

const kept = new Map(); // id -> {file, url}

/** Lets the service read a picture, and gives its id. */
export async function upload(file) {
  const answer = await api.searchUploads([file], { n: 1 });
  const id = answer.images.at(-1);
  if (!kept.has(id)) kept.set(id, { file, url: URL.createObjectURL(file) });
  return id;
}

/** Where a picture is to be seen, uploaded or of the catalogue. */
export const pictureOf = (id, size) => kept.get(id)?.url ?? thumbnail(id, size);

/** The bytes of those that are here. */
export const filesOf = (ids) => ids.map((id) => kept.get(id)?.file).filter(Boolean);

/** The images among what was dropped or pasted. */
export const imagesIn = (transfer) => [...(transfer?.files ?? [])].filter(looksLikeImage);

// Files of rarer formats (HEIC on most systems) come without a type: the service decides.
const looksLikeImage = (file) => file.type === '' || file.type.startsWith('image/');
