/** Element types of the safetensors format that Tributary carries. */
export const DTYPES = ['F64', 'F32', 'F16', 'BF16', 'I64', 'I32', 'I16', 'I8', 'U8', 'BOOL'] as const
export type Dtype = (typeof DTYPES)[number]

/** The types that hold real numbers; only these can be averaged. */
export const FLOAT_DTYPES = ['F64', 'F32', 'F16', 'BF16'] as const
export type FloatDtype = (typeof FLOAT_DTYPES)[number]

/** Bytes of one element. */
export const DTYPE_BYTES: Readonly<Record<Dtype, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
}

const dtypes: ReadonlySet<string> = new Set(DTYPES)
const floatDtypes: ReadonlySet<string> = new Set(FLOAT_DTYPES)

export function isDtype(name: string): name is Dtype {
  return dtypes.has(name)
}

export function isFloatDtype(name: string): name is FloatDtype {
  return floatDtypes.has(name)
}
