type YamlValue = string | number | null | readonly []

/** Characters that no YAML stream may hold as they are (YAML 1.2.2, 5.1), beside those that JSON escapes as well. */
const unprintable = /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g

/** A flat YAML mapping. Texts are double-quoted, which every YAML reader takes in the form of JSON, so none can break out. */
export const yamlDocument = (members: Readonly<Record<string, YamlValue>>): string =>
  Object.entries(members)
    .map(([key, value]) => `${key}: ${scalar(value)}\n`)
    .join('')

const scalar = (value: YamlValue): string =>
  JSON.stringify(value).replace(unprintable, found => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`)
