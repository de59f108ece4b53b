// What every form that is sent to the API has: whether it is under way, the errors of its fields, and what else went wrong.
import { ref } from 'vue';
import { errorText } from './i18n.js';

/**
 * @param {() => string[]} fields the names whose errors are shown beside them
 */
export function useSubmission(fields) {
  const busy = ref(false);
  const problem = ref('');
  const errors = ref({});

  function reset() {
    problem.value = '';
    errors.value = {};
  }

  /** Runs a call. @returns {Promise<import('./api.js').ApiError|null>} what it failed with, null when it went well */
  async function send(call) {
    busy.value = true;
    reset();
    try {
      await call();
      return null;
    } catch (error) {
      errors.value = error.errors ?? {};
      if (!fields().some((name) => errors.value[name])) problem.value = errorText(error);
      return error;
    } finally {
      busy.value = false;
    }
  }

  return { busy, problem, errors, reset, send };
}
