/** The files of a bundle, with the most bytes that each may have. */
export const bundleFiles = {
  manifest: { name: 'manifest.json', maxBytes: 16 * 1024 ** 2 },
  /** One presigned PUT takes 5 GiB. */
  weights: { name: 'weights.safetensors', maxBytes: 5 * 1024 ** 3 },
  /** A forward graph without its weights. */
  graph: { name: 'graph.onnx', maxBytes: 64 * 1024 ** 2 },
} as const

export type BundleFile = keyof typeof bundleFiles

/** Uploads of different versions never meet, so that nobody can write over what another one uploads. */
export const uploadKey = (model: string, version: string, file: BundleFile): string =>
  `models/${model}/uploads/${version}/${bundleFiles[file].name}`

export const exportKey = (model: string, version: string): string => `models/${model}/exports/${version}.onnx`
