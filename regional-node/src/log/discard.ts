/**
 * Frees what a cipher put out, at once: such buffers are small objects to the garbage collector, which would let tens of megabytes
 * of them wait in each thread, and mark everything again and again for their sake.
 */
export function discard(output: Uint8Array): void {
  const { buffer } = output
  if (buffer instanceof ArrayBuffer && buffer.byteLength === output.byteLength) buffer.transfer(0)
}

/** Node hands out smaller buffers as parts of one that others use as well (`Buffer.poolSize`: half of 64 KiB at most). */
const leastOwnBytes = 32 * 1024
const mostAround = 64

/** Frees the memory of a message that this is nearly the whole of; what shares its memory with others stays. */
export function discardMessage(part: Uint8Array): void {
  const { buffer, byteLength } = part
  if (byteLength < leastOwnBytes || !(buffer instanceof ArrayBuffer)) return
  if (buffer.byteLength - byteLength <= mostAround) buffer.transfer(0)
}
