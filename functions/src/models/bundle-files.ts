import { mostUploadParts, uploadPartBytes } from '@tributary/contracts/models'

/** The files of a bundle, with the most bytes that each may have. */
export const bundleFiles = {
  /** No manifest that is valid comes near it: the header that it describes has at most 1 MiB. */
  manifest: { name: 'manifest.json', maxBytes: 8 * 1024 ** 2 },
  weights: { name: 'weights.safetensors', maxBytes: mostUploadParts * uploadPartBytes },
  /** A forward graph without its weights. */
  graph: { name: 'graph.onnx', maxBytes: 64 * 1024 ** 2 },
} as const

export type BundleFile = keyof typeof bundleFiles

/** Uploads of different versions never meet, so that nobody can write over what another one uploads. */
export const uploadKey = (model: string, version: string, file: BundleFile): string =>
  `models/${model}/uploads/${version}/${bundleFiles[file].name}`

export const exportKey = (model: string, version: string): string => `models/${model}/exports/${version}.onnx`
