// Owns what the server tells the pages at run time (GET /config.json), so that one build fits every installation.
import { shallowRef } from 'vue';
import { request } from './api.js';

/**
 * @typedef {object} Config
 * @property {string} key app key of the broadcast server
 * @property {string} host where browsers find it; '' means the host of this page
 * @property {number} port
 * @property {'http'|'https'} scheme
 * @property {number} node_id the node that answered
 * @property {string} time_zone IANA name; decides what "today" is
 */

/** @type {import('vue').ShallowRef<Config|null>} */
export const config = shallowRef(null);

/** @returns {Promise<Config>} */
export async function loadConfig() {
  config.value ??= await request('GET', '/config.json');
  return config.value;
}

export function timeZone() {
  return config.value?.time_zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
}
