/**
 * Frees what a cipher put out, at once: such buffers are small objects to the garbage collector, which would let tens of megabytes
 * of them wait in each thread, and mark everything again and again for their sake.
 */
export function discard(output: Uint8Array): void {
  const { buffer } = output
  if (buffer instanceof ArrayBuffer && buffer.byteLength === output.byteLength) buffer.transfer(0)
}
