import { kernelsWasm } from './gen/kernels-wasm.ts'
import { Instance, type KernelMemory, Module } from './web-assembly.ts'

let compiled: object | undefined

/** What the kernels' module exports, over a memory. It is compiled once a thread. */
export function instantiateKernels(memory: KernelMemory): object {
  compiled ??= new Module(Uint8Array.from(atob(kernelsWasm), character => character.charCodeAt(0)))
  return new Instance(compiled, { kernels: { memory } }).exports
}
