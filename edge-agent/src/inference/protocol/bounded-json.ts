import { InferenceError } from '../inference-error.ts'

const mostDepth = 16
const mostLists = 262_144
const mostObjects = 1024
const mostKeys = 4096

const codes = { quote: 0x22, escape: 0x5c, colon: 0x3a, list: 0x5b, endOfList: 0x5d, object: 0x7b, endOfObject: 0x7d }

/**
 * Parses JSON that may come from anybody. What makes a parser slow (depth, empty objects by the million, keys) is counted first, in one pass that
 * makes nothing: numbers of the same size take a hundredth of the time.
 * @throws InferenceError MALFORMED
 */
export const parseBounded = (bytes: Uint8Array): unknown => {
  expectBounded(bytes)
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw new InferenceError('MALFORMED', 'The request is not JSON in UTF-8.', { cause })
  }
}

const expectBounded = (bytes: Uint8Array): void => {
  let [depth, lists, objects, keys] = [0, 0, 0, 0]
  let quoted = false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (quoted) {
      if (byte === codes.escape) at++
      else if (byte === codes.quote) quoted = false
    } else if (byte === codes.quote) quoted = true
    else if (byte === codes.list) {
      depth++
      lists++
    } else if (byte === codes.object) {
      depth++
      objects++
    } else if (byte === codes.endOfList || byte === codes.endOfObject) depth--
    else if (byte === codes.colon) keys++
    if (depth > mostDepth || lists > mostLists || objects > mostObjects || keys > mostKeys) throw tooMuch()
  }
}

const tooMuch = (): InferenceError =>
  new InferenceError(
    'MALFORMED',
    `The JSON is deeper than ${mostDepth}, or has more than ${mostLists} lists, ${mostObjects} objects or ${mostKeys} keys. Send "data" as one flat list, or as binary data.`,
  )
