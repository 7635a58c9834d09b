/** Longest login, bytes of UTF-8. */
export const MAX_LOGIN_BYTES = 128;
/** Longest banner, characters. */
export const MAX_BANNER_LENGTH = 200;

/** True for a login of HTTP Basic: 1 to {@link MAX_LOGIN_BYTES} bytes, no colon (it ends there), no control characters. */
export function isLogin(text: string): boolean {
  return text !== '' && Buffer.byteLength(text) <= MAX_LOGIN_BYTES && !/[:\p{Cc}]/u.test(text);
}

/** True for a realm that every browser shows alike: at most {@link MAX_BANNER_LENGTH} characters of printable ASCII. */
export function isBanner(text: string): boolean {
  return text.length <= MAX_BANNER_LENGTH && /^[ -~]*$/.test(text);
}
