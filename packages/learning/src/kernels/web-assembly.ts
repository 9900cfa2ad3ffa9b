/** Memory that threads share; `postMessage` passes it on without a copy. */
export type KernelMemory = { readonly buffer: SharedArrayBuffer }

/** The little of WebAssembly that is used: TypeScript has its types only among those of browsers. */
type WebAssemblyApi = {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (
    module: object,
    imports: { readonly kernels: { readonly memory: KernelMemory } },
  ) => { readonly exports: object }
  readonly Memory: new (size: {
    readonly initial: number
    readonly maximum: number
    readonly shared: true
  }) => KernelMemory
}

export const { Module, Instance, Memory } = (globalThis as unknown as { readonly WebAssembly: WebAssemblyApi })
  .WebAssembly
