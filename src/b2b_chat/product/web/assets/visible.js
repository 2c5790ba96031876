// What people see of a text, by the server's rule (kit/visible.py).
const INVISIBLE = /^[\p{Cc}\p{Cf}\p{Z}\p{Default_Ignorable_Code_Point}\u2800\u{1d159}]*$/u;

export function isBlank(text) {
  return INVISIBLE.test(text);
}

// In code points, as the server counts: an emoji is one, though two units of the string.
export function lengthOf(text) {
  let pairs = 0;
  for (const _ of text.matchAll(/[\ud800-\udbff][\udc00-\udfff]/g)) pairs += 1;
  return text.length - pairs;
}
