import { type KernelMemory, Memory } from './web-assembly.ts'

const PAGE_BYTES = 65_536
/** One page less than 32-bit addresses reach, so that none overflows. */
const MOST_PAGES = 65_535

/** Largest memory that kernels can work on. */
export const MOST_KERNEL_BYTES = MOST_PAGES * PAGE_BYTES

/**
 * Zeroed memory for kernels, of a fixed size. What was never written takes no RAM.
 * @throws RangeError beyond MOST_KERNEL_BYTES, or when there is no address space
 */
export function allocateKernelMemory(bytes: number): KernelMemory {
  if (!(bytes <= MOST_KERNEL_BYTES)) {
    throw new RangeError(`${bytes} bytes: kernels reach ${MOST_KERNEL_BYTES}; work on slices of a file instead`)
  }
  const pages = Math.max(1, Math.ceil(bytes / PAGE_BYTES))
  return new Memory({ initial: pages, maximum: pages, shared: true })
}
